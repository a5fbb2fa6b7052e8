"""Charts: ranked movies without personalization."""
