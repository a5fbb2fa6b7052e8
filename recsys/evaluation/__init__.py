"""Evaluate models: splits, protocols and metrics, on arrays of positions without a database."""
