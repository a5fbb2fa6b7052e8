"""Neighbourhood models: similarities of movies or users by their common ratings."""
