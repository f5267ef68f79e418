"""Addresses that others name, and the way to them: http(s) to checked hosts only, or through the proxy."""
