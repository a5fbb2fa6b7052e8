"""Networks in Keras on JAX. Importing this package imports both, which takes seconds."""

from __future__ import annotations

import os
import sys

from recsys.errors import RunError

# Keras reads it when it is imported for the first time.
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "jax"
# A refresh is not alone on its GPU.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import keras
from keras import layers, ops

__all__ = ["keras", "layers", "ops"]

if keras.backend.backend() != "jax":
    raise RunError(
        f"Keras runs on {keras.backend.backend()} in this process, and needs JAX",
        hint="set KERAS_BACKEND=jax before the process starts",
    )
