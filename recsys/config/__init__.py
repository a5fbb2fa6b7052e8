"""Settings: the environment and `recsys.toml`."""
