"""What holds for every request: errors, metrics, security."""
