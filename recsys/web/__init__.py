"""The web application: a JSON API and pages over the AsyncRecommender."""
