"""Plain networks from GGUF files, llama.cpp's format, through the package `gguf`.

Facts of the format that matter here: rows of Llama's queries and keys are permuted, so that numbers that turn against
each other are neighbours (Qwen2's are not); a tied embedding may be stored a second time as `output.weight`, often in
more bits, and then that copy is the better embedding; Llama 3's stretched frequencies are there as divisors only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgemma_model.errors import ModelError
from dgemma_model.grow.gguf_tokenizer import tokenizer_of
from dgemma_model.grow.plain import Family, PlainConfig, Rope, RopeScaling
from dgemma_model.grow.source import Source, Special, layer_names
from dgemma_model.grow.tensorfile import Float32

if TYPE_CHECKING:
    from gguf import GGUFReader, ReaderTensor

_OUTSIDE: Mapping[str, str] = {
    "embedding": "token_embd.weight",
    "head": "output.weight",
    "norm": "output_norm.weight",
}
_IN_LAYER: Mapping[str, str] = {
    "attention_norm": "attn_norm.weight",
    "query": "attn_q.weight",
    "key": "attn_k.weight",
    "value": "attn_v.weight",
    "out": "attn_output.weight",
    "query.bias": "attn_q.bias",
    "key.bias": "attn_k.bias",
    "value.bias": "attn_v.bias",
    "out.bias": "attn_output.bias",
    "mlp_norm": "ffn_norm.weight",
    "gate": "ffn_gate.weight",
    "up": "ffn_up.weight",
    "down": "ffn_down.weight",
}
_ROPE_DIVISORS = "rope_freqs.weight"
_LLAMA3_FACTORS = (8.0, 32.0)
"""Of Llama 3.1 and 3.3, and of Llama 3.2."""

_SPLIT = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")
_SAME = 0.3
"""Relative difference, at most, between two copies of one embedding that were rounded differently."""


def open_gguf(path: Path) -> Source:
    """The model in a GGUF file, or in all files of a split one, any of which may be named.

    Raises:
        ModelError: the package `gguf` is missing, a file is damaged or missing, or the model is of another family.
    """
    readers = [_reader(part) for part in _parts(path)]
    fields = _Fields(readers[0], path)
    tensors = {tensor.name: tensor for reader in readers for tensor in reader.tensors}
    network = _Network(path, fields, tensors)
    return Source(
        network, tokenizer_of(fields, path), _special(fields), fields.text("tokenizer.chat_template")
    )


class _Fields:
    """The metadata of a file."""

    def __init__(self, reader: GGUFReader, path: Path) -> None:
        self._reader, self._path = reader, path
        self.architecture = self.text("general.architecture") or ""

    def get(self, key: str, default: Any = None) -> Any:
        field = self._reader.fields.get(key)
        return default if field is None else field.contents()

    def own(self, key: str, default: Any = None) -> Any:
        """A key below the architecture's name.

        Raises:
            ModelError: it is missing, and there is no default.
        """
        value = self.get(f"{self.architecture}.{key}", default)
        if value is None:
            raise ModelError(f"{self._path} lacks {self.architecture}.{key}; convert the model anew.")
        return value

    def text(self, key: str) -> str | None:
        value = self.get(key)
        return value if isinstance(value, str) else None


class _Network:
    """The weights, dequantised one tensor at a time."""

    def __init__(self, path: Path, fields: _Fields, tensors: Mapping[str, ReaderTensor]) -> None:
        self._path, self._tensors = path, tensors
        if "token_embd.weight" not in tensors:
            raise ModelError(f"{path} has no embedding; name the file of a whole language model.")
        tied = "output.weight" not in tensors or self._same_embeddings()
        self.config = _config(path, fields, tensors, tied)
        self._names = {**_OUTSIDE, **layer_names(_IN_LAYER, self.config.layers, "blk.{}.")}
        self._better = max(
            (tensors[name] for name in ("token_embd.weight", "output.weight") if name in tensors),
            key=lambda tensor: int(tensor.n_bytes),
        ).name
        self._refuse_unknown()

    def tensor(self, name: str) -> Float32:
        if name == "embedding" and self.config.tied:
            return self._read(self._better)
        stored = self._read(self._names[name])
        if self.config.family is not Family.LLAMA:
            return stored
        match name.split(".")[2:3]:
            case ["query"]:
                return _unpermute(stored, self.config.heads)
            case ["key"]:
                return _unpermute(stored, self.config.kv_heads)
        return stored

    def has(self, name: str) -> bool:
        return self._names.get(name) in self._tensors

    def _same_embeddings(self) -> bool:
        """Whether the output's weights are the embedding, both rounded in their own ways."""
        first, second = (self._read(name, rows=256) for name in ("token_embd.weight", "output.weight"))
        difference = np.square(first - second).sum()
        return bool(difference <= _SAME**2 * np.square(second).sum())

    def _read(self, name: str, rows: int | None = None) -> Float32:
        from gguf import dequantize

        if name not in self._tensors:
            raise ModelError(f"{self._path} lacks the tensor {name}; fetch or convert the model anew.")
        tensor = self._tensors[name]
        data = tensor.data if rows is None else tensor.data[:rows]
        return np.asarray(dequantize(data, tensor.tensor_type), np.float32)

    def _refuse_unknown(self) -> None:
        known = {*self._names.values(), _ROPE_DIVISORS}
        if unknown := sorted(set(self._tensors) - known):
            raise ModelError(
                f"{self._path} holds {unknown[0]}, which a plain Llama or Qwen2 network has not; it cannot be grown."
            )


def _unpermute(rows: Float32, heads: int) -> Float32:
    """Rows [heads × head_dim, …] from neighbours that turn against each other to halves that do."""
    pairs = rows.reshape(heads, -1, 2, *rows.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows.shape)


def _parts(path: Path) -> list[Path]:
    named = _SPLIT.fullmatch(path.name)
    if not named:
        return [path]
    count = int(named[3])
    parts = [path.with_name(f"{named[1]}-{index:05}-of-{count:05}.gguf") for index in range(1, count + 1)]
    for part in parts:
        if not part.is_file():
            raise ModelError(f"{part} is missing; all {count} files of a split model must lie in one folder.")
    return parts


def _reader(path: Path) -> GGUFReader:
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise ModelError(
            "GGUF files need the package gguf; install it by: pip install 'dgemma-lsp[grow]'."
        ) from error
    try:
        return GGUFReader(path)
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is no GGUF file or is truncated ({error}); fetch it anew.") from error


def _config(path: Path, fields: _Fields, tensors: Mapping[str, ReaderTensor], tied: bool) -> PlainConfig:
    family = _family(path, fields)
    _refuse_variants(path, fields)
    _refuse_lone_bias(path, tensors)
    heads, hidden = int(fields.own("attention.head_count")), int(fields.own("embedding_length"))
    head_dim = int(fields.own("attention.key_length", hidden // heads))
    return PlainConfig(
        family=family,
        vocabulary=int(tensors["token_embd.weight"].shape[1]),
        hidden=hidden,
        intermediate=int(fields.own("feed_forward_length")),
        layers=int(fields.own("block_count")),
        heads=heads,
        kv_heads=int(fields.own("attention.head_count_kv", heads)),
        head_dim=head_dim,
        epsilon=_shortest(fields.own("attention.layer_norm_rms_epsilon")),
        rope=_rope(path, fields, tensors, head_dim),
        context=int(fields.own("context_length")),
        bias="blk.0.attn_q.bias" in tensors,
        out_bias="blk.0.attn_output.bias" in tensors,
        tied=tied,
    )


def _refuse_lone_bias(path: Path, tensors: Mapping[str, ReaderTensor]) -> None:
    if "blk.0.attn_output.bias" in tensors and "blk.0.attn_q.bias" not in tensors:
        raise ModelError(f"{path} has a bias behind its attention only; such models cannot be grown.")


def _family(path: Path, fields: _Fields) -> Family:
    try:
        return Family(fields.architecture)
    except ValueError as error:
        raise ModelError(
            f"{path} is a model of the family {fields.architecture or 'unknown'}; only Llama and Qwen2 can be grown."
        ) from error


def _refuse_variants(path: Path, fields: _Fields) -> None:
    if fields.own("expert_count", 0):
        raise ModelError(f"{path} is a mixture of experts already; only dense models can be grown.")
    window = int(fields.own("attention.sliding_window", 0))
    if 0 < window < int(fields.own("context_length")):
        raise ModelError(f"{path} uses a sliding window of {window} tokens; such models cannot be grown.")


def _rope(path: Path, fields: _Fields, tensors: Mapping[str, ReaderTensor], head_dim: int) -> Rope:
    theta = _shortest(fields.own("rope.freq_base", 10_000.0))
    turned = int(fields.own("rope.dimension_count", head_dim))
    scaling = fields.own("rope.scaling.type", "none")
    if turned != head_dim:
        raise ModelError(
            f"{path} turns {turned} of {head_dim} numbers of a head; such models cannot be grown."
        )
    if _ROPE_DIVISORS in tensors:
        return _llama3(path, theta, np.asarray(tensors[_ROPE_DIVISORS].data, np.float32))
    if scaling == "linear":
        return Rope(theta, RopeScaling.LINEAR, factor=_shortest(fields.own("rope.scaling.factor")))
    if scaling != "none":
        raise ModelError(f"{path} stretches its positions by the method {scaling}, which is not known here.")
    return Rope(theta)


def _llama3(path: Path, theta: float, divisors: Float32) -> Rope:
    """The published scaling whose frequencies these are."""
    head_dim = 2 * len(divisors)
    plain = Rope(theta).frequencies(head_dim)
    for factor in _LLAMA3_FACTORS:
        rope = Rope(theta, RopeScaling.LLAMA3, factor)
        if np.allclose(plain / rope.frequencies(head_dim), divisors, rtol=1e-4):
            return rope
    raise ModelError(f"{path} stretches its positions by divisors of its own; such models cannot be grown.")


def _shortest(value: float) -> float:
    """A number that was stored in float32, as it was meant: 1e-06 rather than 9.999999974752427e-07."""
    return float(str(np.float32(value)))


def _special(fields: _Fields) -> Special:
    ids = {name: fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "eot", "padding")}
    ends = tuple(dict.fromkeys(int(ids[name]) for name in ("eos", "eot") if ids[name] is not None))
    return Special(ids["bos"], ends, ids["padding"])
