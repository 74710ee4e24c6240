"""The folder of a packed checkpoint: the plain network in four or eight bits, its configuration, its tokenizer.

``config.json`` is the configuration of transformers' classes with four keys more: ``plain`` (the shape of the plain
network), ``growth`` (what leads from it to the classes; see `blueprint`) and ``storage`` (bits). The weights are in
``packed-*.safetensors``: a name that transformers does not look for, since it could not read them. `export` writes
those it can.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dgemma_model.errors import ModelError
from dgemma_model.grow import tensorfile
from dgemma_model.grow.blueprint import Blueprint, stock_config
from dgemma_model.grow.pack import GROUP, Bits, pack, unpack
from dgemma_model.grow.plain import (
    Experts,
    Family,
    Kind,
    PlainConfig,
    PlainNetwork,
    Rope,
    RopeScaling,
    Slot,
    expert_tensors,
    tensors,
)
from dgemma_model.grow.source import Json, Special
from dgemma_model.grow.tensorfile import Array, Float32, TensorFile
from dgemma_model.grow.tiles import ROWS, from_tiles, into_tiles
from dgemma_model.layouts.suffix_first import LAYOUT_KEY, MIDDLE, PREFIX, SUFFIX, Budget

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
FREQUENCIES = "rotary.frequencies"
LAYOUT = "tiles"
"""How matrices lie in the files; see `tiles`."""

_SHARD = 90_000_000
"""Bytes of tensors in a file, at most, unless a single one is larger."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a checkpoint says of itself besides its weights."""

    tokenizer: Json
    special: Special
    mask: int
    chat_template: str | None


class Packed:
    """A packed checkpoint, read back: a plain network of the dequantised weights.

    Raises:
        ModelError: no such folder, or not a packed checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.json = _read_json(folder / CONFIG)
        try:
            self.config = _plain_config(self.json["plain"])
            self.blueprint = Blueprint(self.config, int(self.json["growth"]["exponent"]))
            layout = self.json["storage"].get("layout")
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{folder} is not a packed checkpoint; grow one by: python -m dgemma_model.grow."
            ) from error
        if layout != LAYOUT:
            raise ModelError(f"{folder} was grown by an older version; grow the checkpoint anew.")
        slots = (*tensors(self.config), *expert_tensors(self.config))
        self._rows = {slot.name: slot.shape[0] for slot in slots}
        self._files = {name: file for file in _shards(folder) for name in file.names()}

    def tensor(self, name: str) -> Float32:
        if name in self._files:
            return np.array(self._files[name].read(name), np.float32)
        parts = {suffix: f"{name}.{suffix}" for suffix in ("q", "scale", "min")}
        found = {
            suffix: self._files[part].read(part) for suffix, part in parts.items() if part in self._files
        }
        if "q" not in found:
            raise ModelError(f"{self.folder} lacks the tensor {name}; grow the checkpoint anew.")
        return unpack(from_tiles(found, self._rows[name]))

    def has(self, name: str) -> bool:
        return name in self._files or f"{name}.q" in self._files

    def card(self) -> Card:
        special = Special(
            self.json["bos_token_id"], tuple(self.json["eos_token_id"] or ()), self.json["pad_token_id"]
        )
        tokenizer = _read_json(self.folder / TOKENIZER)
        template = _read_json(self.folder / "tokenizer_config.json").get("chat_template")
        return Card(tokenizer, special, self.json["mask_token_id"], template)


def write_packed(folder: Path, network: PlainNetwork, blueprint: Blueprint, card: Card, bits: Bits) -> None:
    """Write a packed checkpoint into an empty or missing folder.

    Raises:
        ModelError: the folder holds something, there is no room, or the network cannot be packed.
    """
    plan = list(_sharded(list(_stored(network)), bits))
    extra = {
        "plain": _plain_json(network.config),
        "growth": {"exponent": blueprint.exponent},
        "storage": {"matrices": int(bits), "embeddings": 8, "group": GROUP, "layout": LAYOUT},
        **_layout(card),
    }
    with filling(folder, sum(size for shard in plan for _, size in shard)):
        write_card(folder, stock_config(blueprint, card.special, card.mask) | extra, card)
        for index, shard in enumerate(plan, 1):
            path = folder / f"packed-{index:05}-of-{len(plan):05}.safetensors"
            parts = [part for slot, _ in shard for part in _packed(network, slot, bits)]
            tensorfile.write(path, parts, aligned=True)


def write_card(folder: Path, config: Json, card: Card) -> None:
    """Write config.json, generation_config.json and the tokenizer's files."""
    texts = {
        CONFIG: json.dumps(config, indent=2, ensure_ascii=False) + "\n",
        "generation_config.json": json.dumps(_generation(card.special), indent=2) + "\n",
        TOKENIZER: json.dumps(card.tokenizer, ensure_ascii=False, separators=(",", ":")) + "\n",
        "tokenizer_config.json": json.dumps(_tokenizer_config(card), indent=2, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")


@contextmanager
def filling(folder: Path, size: int) -> Iterator[None]:
    """Make the folder; what was written into it is removed if that ends in an error.

    Raises:
        ModelError: it holds something, cannot be made, or its disk has less room than ``size`` bytes.
    """
    _make(folder, size)
    try:
        yield
    except BaseException:
        for path in folder.iterdir():
            path.unlink()
        raise


def _make(folder: Path, size: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ModelError(f"The folder {folder} cannot be made ({error.strerror}); choose another.") from error
    if occupied:
        raise ModelError(f"The folder {folder} is not empty; choose another, or empty it.")
    if free < size:
        missing = (size - free) / 1e9
        raise ModelError(f"The disk of {folder} has {missing:.1f} GB too little room; choose another folder.")


def _layout(card: Card) -> Json:
    """The section that tells how to write with it; there is none where the base has no marks for that."""
    names = {token["content"] for token in card.tokenizer["added_tokens"]}
    return {LAYOUT_KEY: asdict(Budget())} if {PREFIX, SUFFIX, MIDDLE} <= names else {}


def _stored(network: PlainNetwork) -> Iterator[Slot]:
    yield from tensors(network.config)
    yield Slot(FREQUENCIES, (network.config.head_dim // 2,), Kind.VECTOR)
    yield from (slot for slot in expert_tensors(network.config) if network.has(slot.name))


def _sharded(slots: Sequence[Slot], bits: Bits) -> Iterator[list[tuple[Slot, int]]]:
    """Slots with their bytes, file by file."""
    shard: list[tuple[Slot, int]] = []
    for slot in slots:
        size = _bytes(slot, bits)
        if shard and sum(bytes_ for _, bytes_ in shard) + size > _SHARD:
            yield shard
            shard = []
        shard.append((slot, size))
    yield shard


def _bytes(slot: Slot, bits: Bits) -> int:
    if slot.kind is Kind.VECTOR:
        return 4 * int(np.prod(slot.shape))
    weights = -(-slot.shape[0] // ROWS) * ROWS * slot.shape[1]
    match slot.kind:
        case Kind.MATRIX if bits is Bits.FOUR:
            return weights // 2 + 4 * weights // GROUP
    return weights + 2 * weights // GROUP


def _packed(network: PlainNetwork, slot: Slot, bits: Bits) -> Iterator[tuple[str, Array]]:
    if slot.name == FREQUENCIES:
        yield slot.name, network.config.rope.frequencies(network.config.head_dim)
        return
    values = network.tensor(slot.name)
    if values.shape != slot.shape:
        raise ModelError(
            f"The tensor {slot.name} has the shape {values.shape}, not {slot.shape}; the source is damaged."
        )
    if slot.kind is Kind.VECTOR:
        yield slot.name, values.astype("<f4")
        return
    parts = pack(values, bits if slot.kind is Kind.MATRIX else Bits.EIGHT)
    for suffix, part in into_tiles(parts).items():
        yield f"{slot.name}.{suffix}", part


def _shards(folder: Path) -> list[TensorFile]:
    paths = sorted(folder.glob("packed-*.safetensors"))
    count = int(paths[0].stem.rpartition("-")[2]) if paths else 1
    if len(paths) != count:
        raise ModelError(f"{folder} has {len(paths)} of {count} files of weights; copy it anew.")
    return [TensorFile(path) for path in paths]


def _read_json(path: Path) -> Json:
    try:
        content: Json = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}); give the folder of a checkpoint.") from error
    return content


def _plain_json(config: PlainConfig) -> Json:
    fields = asdict(config)
    rope = {"scaling": config.rope.scaling.value}
    return fields | {"family": config.family.value, "rope": fields["rope"] | rope}


def _plain_config(fields: Mapping[str, Any]) -> PlainConfig:
    rope = {**fields["rope"], "scaling": RopeScaling(fields["rope"]["scaling"])}
    nested = {
        "family": Family(fields["family"]),
        "rope": Rope(**rope),
        "experts": Experts(**fields["experts"]),
    }
    return PlainConfig(**{**fields, **nested})


def _generation(special: Special) -> Json:
    tokens = {"bos_token_id": special.begin, "eos_token_id": list(special.ends), "pad_token_id": special.pad}
    return {name: value for name, value in tokens.items() if value not in (None, [])}


def _tokenizer_config(card: Card) -> Json:
    names = {token["id"]: token["content"] for token in card.tokenizer["added_tokens"]}
    end = next(iter(card.special.ends), None)
    roles = {
        "bos_token": card.special.begin,
        "eos_token": end,
        "pad_token": card.special.pad,
        "mask_token": card.mask,
    }
    config: Json = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1_000_000_000,
        "split_special_tokens": True,
    }
    config |= {role: names[number] for role, number in roles.items() if number in names}
    return config if card.chat_template is None else config | {"chat_template": card.chat_template}
