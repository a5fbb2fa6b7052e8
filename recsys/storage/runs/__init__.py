"""Runs: their life, their results, their publication."""
