"""Array code that models share: top-k, scoring, prediction, sparse matrices."""
