"""Neural networks, in Keras on JAX (extra `neural`). Only a fit imports these packages."""
