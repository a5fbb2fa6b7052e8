"""A movie recommender whose whole state lives in PostgreSQL."""
