"""Values: frozen, typed, without behaviour that needs the world."""
