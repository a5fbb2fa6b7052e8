"""The SQL queries behind the methods of the Python API."""
