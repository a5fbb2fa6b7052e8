"""The HTTP server: uvicorn with limits on what one client can take from it."""
