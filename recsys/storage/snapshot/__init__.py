"""Reads for training: matrices and features of one state of the database."""
