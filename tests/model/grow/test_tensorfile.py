"""Safetensors files by numpy: the `safetensors` package reads ours, and we read its."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dgemma_model.errors import ModelError
from dgemma_model.grow.tensorfile import TensorFile, as_bfloat16, as_float32, write


def test_the_package_reads_what_is_written(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = [("half", as_bfloat16(values)), ("bytes", np.arange(5, dtype=np.uint8)), ("full", values)]
    write(tmp_path / "a.safetensors", tensors, aligned=True)
    read = load_file(tmp_path / "a.safetensors")
    assert torch.equal(read["half"], torch.from_numpy(values).bfloat16())
    assert torch.equal(read["full"], torch.from_numpy(values))
    assert read["bytes"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_what_the_package_writes_is_read(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.randn(4, 5).to(dtype)
    save_file({"a": values}, tmp_path / "a.safetensors")
    assert torch.equal(
        torch.tensor(as_float32(TensorFile(tmp_path / "a.safetensors").read("a"))), values.float()
    )


def test_aligned_tensors_begin_at_multiples_of_64(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write(
        path,
        [(name, np.full(size, 7, np.uint8)) for name, size in (("a", 3), ("b", 64), ("c", 65))],
        aligned=True,
    )
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length])
    starts = {
        name: 8 + length + fields["data_offsets"][0] for name, fields in header.items() if name in "abc"
    }
    assert {name: start % 64 for name, start in starts.items()} == {"a": 0, "b": 0, "c": 0}
    assert TensorFile(path).names() == {"a", "b", "c"}


def test_rounding_to_bfloat16_is_torchs() -> None:
    values = torch.randn(1000) * torch.logspace(-20, 20, 1000)
    assert np.array_equal(as_float32(as_bfloat16(values.numpy())), values.bfloat16().float().numpy())


def test_a_truncated_file_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write(path, [("a", np.zeros(1000, np.float32))], aligned=False)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"a\.safetensors is truncated; fetch it anew"):
        TensorFile(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0[]"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ModelError, match="is not a safetensors file"):
        TensorFile(tmp_path / "a")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be written"):
        write(tmp_path / "missing" / "a", [("a", np.zeros(1))], aligned=False)
