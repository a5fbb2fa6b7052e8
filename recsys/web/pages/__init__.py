"""The web pages: HTML routes, templates and drawings."""
