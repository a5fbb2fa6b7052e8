"""How good a model is: splits, metrics, protocols. Arrays in, figures out; no database, no ids."""
