"""BLAS and LAPACK as scipy brings them, called without Python's lock.

The functions of `scipy.linalg.blas` and `scipy.linalg.lapack` hold it: while one works on a large
matrix, no other thread runs and no signal is heard. Arrays are float32 in Fortran order, changed
in place, and of a triangle the lower one.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char, c_float, c_int
from typing import Any

from scipy.linalg import cython_blas, cython_lapack

from recsys.domain import Float32

_LOWER, _TRANSPOSED, _PLAIN, _LEFT, _NOT_UNIT = (c_char(letter) for letter in b"LTNLN")


def _function(module: Any, name: str) -> Any:
    """Return a C function, all of whose arguments are pointers, by its address."""
    capsule = module.__pyx_capi__[name]
    of = ctypes.pythonapi
    of.PyCapsule_GetName.restype = ctypes.c_char_p
    of.PyCapsule_GetName.argtypes = [ctypes.py_object]
    of.PyCapsule_GetPointer.restype = ctypes.c_void_p
    of.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = of.PyCapsule_GetPointer(capsule, of.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None)(address)


_spotrf, _spotri = _function(cython_lapack, "spotrf"), _function(cython_lapack, "spotri")
_ssyrk, _strsm = _function(cython_blas, "ssyrk"), _function(cython_blas, "strsm")


def cholesky(matrix: Float32) -> int:
    """Put the Cholesky factor in place of a symmetric matrix; return LAPACK's info, 0 if it is."""
    return _in_place(_spotrf, matrix)


def invert(factor: Float32) -> int:
    """Put the inverse of a matrix in place of its Cholesky factor; return LAPACK's info."""
    return _in_place(_spotri, factor)


def _in_place(function: Any, matrix: Float32) -> int:
    size, info = c_int(_side(matrix)), c_int()
    function(byref(_LOWER), byref(size), _data(matrix), byref(size), byref(info))
    return info.value


def solve(factor: Float32, right: Float32) -> None:
    """Put `inv(factor) @ right` in place of `right`."""
    rows, columns = c_int(_side(factor)), c_int(right.shape[1])
    _strsm(
        byref(_LEFT), byref(_LOWER), byref(_PLAIN), byref(_NOT_UNIT), byref(rows), byref(columns),
        byref(c_float(1)), _data(factor), byref(rows), _data(right), byref(rows),
    )  # fmt: skip


def add_gram(target: Float32, rows: Float32, weight: float) -> None:
    """Add `weight * rows' rows` to `target`."""
    size, count = c_int(_side(target)), c_int(rows.shape[0])
    _ssyrk(
        byref(_LOWER), byref(_TRANSPOSED), byref(size), byref(count), byref(c_float(weight)),
        _data(rows), byref(count), byref(c_float(1)), _data(target), byref(size),
    )  # fmt: skip


def _side(matrix: Float32) -> int:
    assert matrix.shape[0] == matrix.shape[1]
    return int(matrix.shape[0])


def _data(matrix: Float32) -> Any:
    assert matrix.flags.f_contiguous
    assert matrix.dtype == "float32"
    return matrix.ctypes.data_as(POINTER(c_float))
