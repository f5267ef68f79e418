"""Allocated blocks, the floor, the layout of paths, hole punching inside the data root."""
