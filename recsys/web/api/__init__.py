"""The HTTP API: JSON routes, their parameters and responses."""
