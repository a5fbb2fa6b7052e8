"""Models of the order in which movies are rated."""
