"""The compiled code of the quantised runner, and the structures that it takes.

They are those of ``native/quantized/quantized.h``, field by field; that file says what the fields mean.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import os
from pathlib import Path

from dgemma_model.errors import ModelError

VARIABLE = "DGEMMA_CPU"
"""Environment variable that forbids the fastest kinds of processors."""

_POINTER, _NUMBER, _TEXT = ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p


class CShape(ctypes.Structure):
    """Sizes of a network."""

    _fields_ = (
        *((name, _NUMBER) for name in ("vocabulary", "hidden", "layers", "heads", "kv_heads", "head_dim")),
        *((name, _NUMBER) for name in ("inner", "experts", "chosen", "width", "mask")),
        ("eps", ctypes.c_float),
    )


class CMatrix(ctypes.Structure):
    """Where a matrix is mapped."""

    _fields_ = (
        *((name, _POINTER) for name in ("codes", "scales", "minima")),
        *((name, _NUMBER) for name in ("rows", "columns")),
    )


MATRICES = (
    "query",
    "key",
    "value",
    "out",
    "gate",
    "up",
    "down",
    "experts.gate",
    "experts.up",
    "experts.down",
)
VECTORS = (
    *("query.bias", "key.bias", "value.bias", "out.bias", "attention_norm", "mlp_norm"),
    *("experts.norm", "experts.router"),
)
"""A layer's tensors, in the order of their structure; a layer may lack biases and experts."""


class CLayer(ctypes.Structure):
    """A layer's matrices, norms and biases."""

    _fields_ = (
        *((name.replace(".", "_"), CMatrix) for name in MATRICES),
        *((name.replace(".", "_"), _POINTER) for name in VECTORS),
    )


class CNetwork(ctypes.Structure):
    """A network."""

    _fields_ = (
        ("shape", CShape),
        *((name, CMatrix) for name in ("embedding", "output")),
        *((name, _POINTER) for name in ("norm", "frequencies")),
        ("layers", ctypes.POINTER(CLayer)),
    )


class CPass(ctypes.Structure):
    """The arguments of a pass."""

    _fields_ = (
        *((name, _POINTER) for name in ("model", "prompt", "ids", "positions", "seen", "wanted")),
        *((name, _NUMBER) for name in ("tokens", "wanted_count")),
        ("states", _POINTER),
    )


class CScores(ctypes.Structure):
    """The arguments of `quantized_scores`."""

    _fields_ = (*((name, _POINTER) for name in ("model", "states", "scores")), ("rows", _NUMBER))


class CRanking(ctypes.Structure):
    """The arguments of `quantized_rank`; its last three are the compiled code's own."""

    _fields_ = (
        *((name, _POINTER) for name in ("model", "states")),
        *((name, _NUMBER) for name in ("rows", "best_count", "asked_count")),
        *((name, _POINTER) for name in ("best", "best_likelihood", "asked", "asked_likelihood")),
        *((name, _POINTER) for name in ("shares", "candidates", "candidate_scores")),
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled code; None where there is none."""
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = Path(__file__).parent.with_name("_quantized" + suffix)
        if path.is_file():
            return _declared(ctypes.CDLL(str(path)))
    return None


def _declared(found: ctypes.CDLL) -> ctypes.CDLL:
    signatures = {
        "kind": (_TEXT, (_NUMBER,)),
        "new": (_POINTER, (_POINTER, _TEXT, _NUMBER)),
        "free": (None, (_POINTER,)),
        "prompt": (_POINTER, (_POINTER,)),
        "prompt_free": (None, (_POINTER,)),
        "truncate": (None, (_POINTER, _NUMBER)),
        "copy": (_NUMBER, (_POINTER, _POINTER, _NUMBER)),
        "keep": (None, (_POINTER, _POINTER, _NUMBER)),
        "run": (_NUMBER, (_POINTER,)),
        "scores": (_NUMBER, (_POINTER,)),
        "rank": (_NUMBER, (_POINTER,)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(found, f"quantized_{name}")
        function.restype, function.argtypes = result, arguments
    return found


def kinds() -> list[str]:
    """Kinds of processors whose code runs on this one, the fastest first; none where nothing was compiled.

    The environment variable ``DGEMMA_CPU`` names the fastest one to be used, or ``torch`` for none of them.

    Raises:
        ModelError: it names something else.
    """
    found, wanted = library(), os.environ.get(VARIABLE)
    if found is None or wanted == "torch":
        return []
    able = _able(found)
    if wanted and wanted not in able:
        raise ModelError(
            f"{VARIABLE} is {wanted!r}, which this processor cannot run; use {', '.join(able)} or torch."
        )
    return able[able.index(wanted) :] if wanted else able


def _able(found: ctypes.CDLL) -> list[str]:
    able: list[str] = []
    while name := found.quantized_kind(len(able)):
        able.append(name.decode())
    return able
