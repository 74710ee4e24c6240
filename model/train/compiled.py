"""The network's layers compiled for training: the many small operations around the matrix products become few.

Only the parts whose shapes are fixed are compiled; attention and the experts, whose groups change with every batch,
run as they are. A C++ compiler is needed, on the machine that trains only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from dgemma_model.network import Layer


@contextlib.contextmanager
def layers() -> Iterator[None]:
    """Use compiled layers inside."""
    plain = {name: getattr(Layer, name) for name in ("project", "absorb", "combine")}
    for name, function in plain.items():
        setattr(Layer, name, torch.compile(function))
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(Layer, name, function)
