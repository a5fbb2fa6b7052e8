"""Ensembles: models composed of other models."""
