"""Builds the rooms, starts and stops them, keeps the schedule: the only place that knows every room."""
