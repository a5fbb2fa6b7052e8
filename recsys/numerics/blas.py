"""LAPACK as scipy brings it, called without Python's lock.

The functions of `scipy.linalg.lapack` hold it: while one works on a large matrix, no other thread
runs and no signal is heard. Arrays are float32 in Fortran order, changed in place. A symmetric or
triangular matrix is its lower triangle, rectangular full packed, of `size` rows and columns.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char, c_float, c_int
from typing import Any

from scipy.linalg import cython_lapack

from recsys.domain import Float32

_LOWER, _TRANSPOSED, _PLAIN, _LEFT, _NOT_UNIT = (c_char(letter) for letter in b"LTNLN")


def _function(name: str) -> Any:
    """Return a C function, all of whose arguments are pointers, by its address."""
    module: Any = cython_lapack
    capsule = module.__pyx_capi__[name]
    of = ctypes.pythonapi
    of.PyCapsule_GetName.restype = ctypes.c_char_p
    of.PyCapsule_GetName.argtypes = [ctypes.py_object]
    of.PyCapsule_GetPointer.restype = ctypes.c_void_p
    of.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = of.PyCapsule_GetPointer(capsule, of.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None)(address)


_spftrf, _spftri = _function("spftrf"), _function("spftri")
_stfsm, _ssfrk = _function("stfsm"), _function("ssfrk")


def packed_cholesky(matrix: Float32, size: int) -> int:
    """Put the Cholesky factor in place of a matrix; return LAPACK's info, 0 if there is one."""
    return _in_place(_spftrf, matrix, size)


def packed_invert(factor: Float32, size: int) -> int:
    """Put the inverse of a matrix in place of its Cholesky factor; return LAPACK's info."""
    return _in_place(_spftri, factor, size)


def _in_place(function: Any, matrix: Float32, size: int) -> int:
    info = c_int()
    function(byref(_PLAIN), byref(_LOWER), byref(c_int(size)), _data(matrix), byref(info))
    return info.value


def packed_solve(factor: Float32, size: int, right: Float32) -> None:
    """Put `inv(factor) @ right` in place of `right`."""
    assert right.shape[0] == size
    rows, columns = c_int(size), c_int(right.shape[1])
    _stfsm(
        byref(_PLAIN), byref(_LEFT), byref(_LOWER), byref(_PLAIN), byref(_NOT_UNIT), byref(rows),
        byref(columns), byref(c_float(1)), _data(factor), _data(right), byref(rows),
    )  # fmt: skip


def packed_add_gram(target: Float32, size: int, rows: Float32, weight: float) -> None:
    """Add `weight * rows' rows` to `target`."""
    assert rows.shape[1] == size
    count = c_int(rows.shape[0])
    _ssfrk(
        byref(_PLAIN), byref(_LOWER), byref(_TRANSPOSED), byref(c_int(size)), byref(count),
        byref(c_float(weight)), _data(rows), byref(count), byref(c_float(1)), _data(target),
    )  # fmt: skip


def _data(matrix: Float32) -> Any:
    assert matrix.flags.f_contiguous
    assert matrix.dtype == "float32"
    return matrix.ctypes.data_as(POINTER(c_float))
