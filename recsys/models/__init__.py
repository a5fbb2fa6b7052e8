"""Every model: one file each, grouped in families, and the registry that lists them."""
