"""The compiled code of `native/`: where it is, which kinds of processors it serves, and the structures it takes."""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import os
from enum import StrEnum
from pathlib import Path

import torch
from torch import Tensor

from dgemma_model.errors import ModelError

VARIABLE = "DGEMMA_CPU"
"""Environment variable that rules out the fastest kinds of processors."""

TORCH = "torch"
"""Value of `VARIABLE` that rules out all of them."""

TRAINING = ("attention", "attention_back", "blend", "blend_back", "gated", "surprise", "thinned")
"""Functions that only training calls, each with the name of a kind of processor and a structure."""


class Processor(StrEnum):
    """Kinds of processors that the code was compiled for; the values are the names used in C."""

    AVX512_BF16 = "AVX512-BF16"
    AVX512 = "AVX-512"
    AVX2 = "AVX2"
    PLAIN = "plain"

    @property
    def dtype(self) -> torch.dtype:
        """The type in which the kind multiplies."""
        return torch.bfloat16 if self is Processor.AVX512_BF16 else torch.float32


class Shape(ctypes.Structure):
    """Shape of a network."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("vocabulary", "hidden", "heads", "kv_heads", "head_dim")),
        *((name, ctypes.c_int32) for name in ("dense", "experts", "top_k", "width", "layers")),
        *((name, ctypes.c_float) for name in ("eps", "softcap")),
    )


class Pass(ctypes.Structure):
    """One pass of the whole network."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("model", "prompt", "ids", "positions", "belief")),
        *((name, ctypes.c_int) for name in ("rows", "tokens")),
        ("seen", ctypes.c_void_p),
        *((name, ctypes.c_int) for name in ("causal", "whole")),
        ("states", ctypes.c_void_p),
    )


class Rows(ctypes.Structure):
    """Rows that one function turns into others."""

    _fields_ = (
        ("model", ctypes.c_void_p),
        ("input", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        ("rows", ctypes.c_int),
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """Load the compiled code; None if nothing was compiled."""
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = Path(__file__).parents[1] / ("_native" + suffix)
        if path.is_file():
            return _declared(ctypes.CDLL(str(path)))
    return None


def _declared(native: ctypes.CDLL) -> ctypes.CDLL:
    pointer, number = ctypes.c_void_p, ctypes.c_int
    native.dgemma_kinds.restype = ctypes.c_char_p
    native.dgemma_new.restype = pointer
    native.dgemma_new.argtypes = [pointer, ctypes.c_char_p, number, *[pointer] * 4]
    native.dgemma_free.argtypes = [pointer]
    native.dgemma_prompt.restype = pointer
    native.dgemma_prompt.argtypes = [pointer]
    native.dgemma_prompt_free.argtypes = [pointer]
    native.dgemma_truncate.argtypes = [pointer, number]
    native.dgemma_keep.argtypes = [pointer, number]
    native.dgemma_copy.argtypes = [pointer, pointer, number]
    for name in ("run", "logits", "believe", "soften"):
        getattr(native, f"dgemma_{name}").argtypes = [pointer]
    for name in TRAINING:
        getattr(native, f"dgemma_{name}").argtypes = [ctypes.c_char_p, pointer]
    return native


def processors() -> list[Processor]:
    """List the kinds whose code runs on this processor, the fastest first; none if nothing was compiled.

    The environment variable ``DGEMMA_CPU`` names the fastest one to use, or ``torch`` for none of them.

    Raises:
        ModelError: the variable names something else.
    """
    native, wanted = library(), os.environ.get(VARIABLE)
    if native is None or wanted == TORCH:
        return []
    able = [Processor(name) for name in native.dgemma_kinds().decode().split(",")]
    if not wanted:
        return able
    if wanted not in able:
        raise ModelError(
            f"{VARIABLE} is {wanted!r}, which this processor cannot run; use {', '.join(able)} or {TORCH}."
        )
    return able[able.index(Processor(wanted)) :]


def processor_for(dtype: torch.dtype) -> Processor | None:
    """Find the fastest kind that multiplies in ``dtype``; None if there is none."""
    return next((kind for kind in processors() if kind.dtype == dtype), None)


def address(tensor: Tensor | None) -> int | None:
    """Give the compiled code the address of a tensor's numbers."""
    return None if tensor is None else tensor.data_ptr()
