"""SQLite: observations, decisions and their schema."""
