"""Read matrices and features for training from one snapshot of the database."""
