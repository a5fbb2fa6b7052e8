"""The sum of logarithms of a softmax over many movies, a few rows at a time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

_SCORES_AT_ONCE = 1 << 19
"""Scores in memory at a time: 2 MB, which the cache of a core holds."""


@jax.custom_vjp
def sum_of_logsumexp(rows: Any, vectors: Any, weights: Any) -> Any:
    """Return the sum of `weight * log(sum(exp(row . vector)))` over the rows, a scalar.

    `rows` are n x f, `vectors` items x f, `weights` n, all float32. The gradients are found in the
    same pass, so that no scores are kept, and each exponential is computed once.
    """
    return _pass(rows, vectors, weights)[0]


def _pass(rows: Any, vectors: Any, weights: Any) -> tuple[Any, tuple[Any, Any]]:
    """Return the sum, and its gradients by rows and by vectors."""
    count, width = rows.shape
    size = max(1, min(count, _SCORES_AT_ONCE // len(vectors)))
    missing = -count % size
    blocks = jnp.pad(rows, ((0, missing), (0, 0))).reshape(-1, size, width)
    shares = jnp.pad(weights, (0, missing)).reshape(-1, size)

    def step(sums: Any, block: Any) -> Any:
        total, of_vectors = sums
        part, share = block
        scores = part @ vectors.T
        top = scores.max(axis=1, keepdims=True)
        powers = jnp.exp(scores - top)
        counts = powers.sum(axis=1, keepdims=True)
        total += (share * (jnp.log(counts) + top)[:, 0]).sum()
        softmax = powers * (share[:, None] / counts)
        return (total, of_vectors + softmax.T @ part), softmax @ vectors

    start = (jnp.zeros(()), jnp.zeros_like(vectors))
    (total, of_vectors), of_rows = jax.lax.scan(step, start, (blocks, shares))
    return total, (of_rows.reshape(-1, width)[:count], of_vectors)


def _backward(gradients: tuple[Any, Any], scale: Any) -> tuple[Any, Any, None]:
    of_rows, of_vectors = gradients
    return scale * of_rows, scale * of_vectors, None


sum_of_logsumexp.defvjp(_pass, _backward)
