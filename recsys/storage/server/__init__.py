"""PostgreSQL itself: the embedded server, connections and pools."""
