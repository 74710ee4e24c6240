"""Write a plain network as a repository that transformers loads: ``DiffusionGemmaForBlockDiffusion`` in bfloat16.

Norms, biases and routers stay float32 in the files: in bfloat16 a loader rounds them itself, and in float32 nothing
of the growth is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from dgemma_model.errors import ModelError
from dgemma_model.grow import tensorfile
from dgemma_model.grow.blueprint import Blueprint, stock_config
from dgemma_model.grow.checkpoint import Card, Packed, filling, write_card
from dgemma_model.grow.grow import Precision, StockTensor, stock_tensors
from dgemma_model.grow.plain import PlainNetwork
from dgemma_model.grow.source import Json
from dgemma_model.grow.tensorfile import Array, Float32

_SHARD = 2_000_000_000
"""Bytes of tensors in a file, at most, unless a single one is larger."""


def export(packed: Path, out: Path) -> None:
    """Write a packed checkpoint's weights, dequantised, for transformers.

    Raises:
        ModelError: no packed checkpoint, or the folder cannot be written.
    """
    checkpoint = Packed(packed)
    write_stock(out, checkpoint, checkpoint.blueprint, checkpoint.card())


def write_stock(folder: Path, network: PlainNetwork, blueprint: Blueprint, card: Card) -> None:
    """Write any plain network for transformers, into an empty or missing folder.

    Raises:
        ModelError: the folder holds something, or its disk has too little room.
    """
    config = stock_config(blueprint, card.special, card.mask)
    tensors = [*stock_tensors(network, blueprint), *_vision(config)]
    shards = _named(list(_sharded(tensors)))
    with filling(folder, sum(map(_bytes, tensors))):
        write_card(folder, config, card)
        for name, shard in shards.items():
            tensorfile.write(
                folder / name, ((tensor.name, _stored(tensor)) for tensor in shard), aligned=False
            )
        if len(shards) > 1:
            _write_index(folder, shards)


def _named(shards: Sequence[list[StockTensor]]) -> dict[str, list[StockTensor]]:
    """Files by the names that transformers looks for."""
    if len(shards) == 1:
        return {"model.safetensors": shards[0]}
    return {f"model-{i:05}-of-{len(shards):05}.safetensors": shard for i, shard in enumerate(shards, 1)}


def _write_index(folder: Path, shards: Mapping[str, list[StockTensor]]) -> None:
    tensors = {tensor.name: file for file, shard in shards.items() for tensor in shard}
    size = sum(_bytes(tensor) for shard in shards.values() for tensor in shard)
    index = {"metadata": {"total_size": size}, "weight_map": tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def _stored(tensor: StockTensor) -> Array:
    values = tensor.compute()
    if values.shape != tensor.shape:
        raise ModelError(
            f"{tensor.name} has the shape {values.shape}, not {tensor.shape}; the source is damaged."
        )
    return tensorfile.as_bfloat16(values) if tensor.precision is Precision.HALF else values.astype("<f4")


def _bytes(tensor: StockTensor) -> int:
    return int(np.prod(tensor.shape)) * (2 if tensor.precision is Precision.HALF else 4)


def _sharded(tensors: Sequence[StockTensor]) -> Iterator[list[StockTensor]]:
    shard: list[StockTensor] = []
    for tensor in tensors:
        if shard and sum(map(_bytes, shard)) + _bytes(tensor) > _SHARD:
            yield shard
            shard = []
        shard.append(tensor)
    yield shard


def _vision(config: Json) -> Iterator[StockTensor]:
    """Zeros for the vision tower, which the classes insist on having."""
    for name, shape in sorted(_vision_shapes(config).items()):
        yield StockTensor(name, shape, Precision.HALF, _zeros(shape))


def _zeros(shape: tuple[int, ...]) -> Callable[[], Float32]:
    return lambda: np.zeros(shape, np.float32)


def _vision_shapes(config: Json) -> dict[str, tuple[int, ...]]:
    import torch
    from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

    with torch.device("meta"):
        stock = DiffusionGemmaForBlockDiffusion(DiffusionGemmaConfig.from_dict(config))
    names = stock.state_dict()
    return {name: tuple(names[name].shape) for name in names if "vision" in name}
