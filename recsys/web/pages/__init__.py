"""The web pages: HTML routes, templates and sparklines."""
