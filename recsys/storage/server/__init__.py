"""The embedded PostgreSQL server, connections and connection pools."""
