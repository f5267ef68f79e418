"""The one path, once per cycle: look, plan, apply, remember, publish."""
