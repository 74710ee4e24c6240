"""The network's layers compiled by torch for training on padded rows, as on a GPU: many small operations become few.

Everything but attention and the experts' products, whose number and sizes change with every batch. A C++ compiler is
needed, on the machine that trains only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from dgemma_model.network import layers as network
from dgemma_model.network.layers import Layer


@contextlib.contextmanager
def layers() -> Iterator[None]:
    """Use compiled layers inside."""
    parts = [(Layer, name) for name in ("project", "absorb", "combine")] + [(network, "gated")]
    plain = [(owner, name, getattr(owner, name)) for owner, name in parts]
    for owner, name, function in plain:
        setattr(owner, name, torch.compile(function, dynamic=True))
    try:
        yield
    finally:
        for owner, name, function in plain:
            setattr(owner, name, function)
        torch.compiler.reset()  # torch keeps only a few variants of a function, and these are never called again
