"""The Python API by HTTP: every route asks the AsyncRecommender and answers with its JSON."""
