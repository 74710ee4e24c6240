"""Safetensors files by numpy alone: read through a memory map, written aligned and with the same bytes every time.

The `safetensors` package refuses bfloat16 in numpy and aligns nothing; the format is simple enough to do both here:
eight bytes of length, a JSON header, the tensors without gaps. In aligned files a tensor whose size is no
multiple of 64 bytes is followed by a filler named ``NAME.pad``, so that each tensor begins at a multiple of 64 in the
file, which a program that maps the file into memory can rely on.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgemma_model.errors import ModelError

Array = NDArray[Any]
Float32 = NDArray[np.float32]

ALIGNMENT = 64
FILLER = ".pad"

BFLOAT16 = np.dtype([("bfloat16", "<u2")])
"""Numpy has no bfloat16: its bits travel as a structure that no arithmetic can mistake for numbers."""

_DTYPES: Mapping[str, np.dtype[Any]] = {
    "BF16": BFLOAT16,
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
}


@dataclass(frozen=True, slots=True)
class _Entry:
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    """In bytes from the beginning of the file."""

    @property
    def end(self) -> int:
        return self.start + self.dtype.itemsize * int(np.prod(self.shape))


class TensorFile:
    """A safetensors file, mapped into memory: a tensor is read when it is asked for.

    Raises:
        ModelError: the file cannot be read, is no safetensors file, or is shorter than its header says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._entries = dict(_parse(self._map))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path} is not a safetensors file that can be read ({error}).") from error
        if any(entry.end > len(self._map) for entry in self._entries.values()):
            raise ModelError(f"{path} is truncated; fetch it anew.")

    def names(self) -> frozenset[str]:
        """The names of all tensors but fillers."""
        return frozenset(name for name in self._entries if not name.endswith(FILLER))

    def shape(self, name: str) -> tuple[int, ...]:
        return self._entries[name].shape

    def read(self, name: str) -> Array:
        """A view of the tensor as it is stored; not to be written to."""
        entry = self._entries[name]
        flat = np.frombuffer(self._map, entry.dtype, int(np.prod(entry.shape)), entry.start)
        return flat.reshape(entry.shape)


def _parse(data: mmap.mmap) -> Iterator[tuple[str, _Entry]]:
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= len(data) - 8:
        raise ValueError("its header does not fit")
    header = json.loads(data[8 : 8 + length])
    if not isinstance(header, dict):
        raise TypeError("its header is no object")
    for name, fields in header.items():
        if name != "__metadata__":
            dtype, shape = _DTYPES[fields["dtype"]], tuple(map(int, fields["shape"]))
            entry = _Entry(dtype, shape, 8 + length + int(fields["data_offsets"][0]))
            if entry.end - entry.start != fields["data_offsets"][1] - fields["data_offsets"][0]:
                raise ValueError(f"{name} has another size than its shape says")
            yield name, entry


def as_float32(stored: Array) -> Float32:
    """The numbers of a tensor of any floating type, bfloat16 too."""
    if stored.dtype == BFLOAT16:
        return (stored["bfloat16"].astype(np.uint32) << 16).view(np.float32)
    return np.asarray(stored, np.float32)


def as_bfloat16(values: Float32) -> Array:
    """Round to bfloat16, ties to even; the values are finite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return rounded.astype("<u2").view(BFLOAT16)


def write(path: Path, tensors: Iterable[tuple[str, Array]], *, aligned: bool) -> None:
    """Write tensors in the given order, aligned for mapping or packed as the `safetensors` package does.

    Raises:
        ModelError: the disk is full, or the folder cannot be written to.
    """
    arrays = list(_with_fillers(tensors) if aligned else tensors)
    header = _header(arrays)
    try:
        with path.open("wb") as file:
            file.write(header)
            for _, array in arrays:
                file.write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ModelError(
            f"{path} cannot be written ({error.strerror}); make room or choose another folder."
        ) from error


def _with_fillers(tensors: Iterable[tuple[str, Array]]) -> Iterator[tuple[str, Array]]:
    for name, array in tensors:
        yield name, array
        if missing := -array.nbytes % ALIGNMENT:
            yield name + FILLER, np.zeros(missing, np.uint8)


def _header(tensors: list[tuple[str, Array]]) -> bytes:
    names = {dtype: name for name, dtype in _DTYPES.items()}
    fields: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, array in tensors:
        span = [offset, offset + array.nbytes]
        fields[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": span}
        offset = span[1]
    text = json.dumps(fields, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
