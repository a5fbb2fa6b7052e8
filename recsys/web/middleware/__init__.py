"""Middleware and handlers for all requests: errors, metrics and security."""
