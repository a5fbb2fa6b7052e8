"""Files to typed columns: blocks of bytes, records, numbers."""
