"""The queries behind each method of the Python API."""
