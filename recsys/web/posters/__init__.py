"""Drawn posters for movies without a picture: a scene of the genre, and the title."""
