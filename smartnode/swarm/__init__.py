"""Sees swarms from outside: the wire probe and the budgets of looking."""
