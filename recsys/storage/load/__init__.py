"""Bulk writes: COPY, and the catalogue that ingest fills."""
