"""Tensors of safetensors files, mapped: nothing is copied, and several processes share one copy in memory.

Only the standard library and numpy are needed; reading the whole of a checkpoint takes milliseconds.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgemma_model.errors import ModelError

TYPES: Mapping[str, type[np.generic]] = {
    "U8": np.uint8,
    "I8": np.int8,
    "F16": np.float16,
    "F32": np.float32,
}
"""What safetensors calls the types of a quantised checkpoint."""

Tensor = NDArray[Any]


class MappedTensors(Mapping[str, Tensor]):
    """The tensors of some files by name, read-only. A tensor keeps its file mapped.

    Raises:
        ModelError: a file is not what it should be; the message names it.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._tensors: dict[str, Tensor] = {}
        for path in paths:
            self._tensors.update(_mapped(path))

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _mapped(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        size = int.from_bytes(held[:8], "little")
        entries = json.loads(held[8 : 8 + size])
        return {
            name: _tensor(held, 8 + size, entry) for name, entry in entries.items() if name != "__metadata__"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} is damaged or no safetensors file of ours ({error}); get the checkpoint again."
        ) from None


def _tensor(held: mmap.mmap, start: int, entry: Mapping[str, Any]) -> Tensor:
    kind, shape = np.dtype(TYPES[entry["dtype"]]), entry["shape"]
    first, last = entry["data_offsets"]
    count = int(np.prod(shape, dtype=np.int64))
    if count * kind.itemsize != last - first:
        raise ValueError("a tensor's size is not that of its shape")
    return np.frombuffer(held, kind, count, start + first).reshape(shape)
