"""Linear item-item models in closed form."""
