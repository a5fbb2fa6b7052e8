"""Content models: similarities of movies by their genres and texts."""
