"""CSV files of any origin: columns recognized by their names."""
