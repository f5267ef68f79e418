"""Settings: TOML and SMARTNODE_* environment, units parsed once."""
