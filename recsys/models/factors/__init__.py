"""Factor models: users and movies as vectors of a shared latent space."""
