"""A quantised network of the Llama and Qwen2 families: how it lies in its files, and what may be asked of it.

`open_quantized` chooses who runs it: `quantized_runner` in compiled code, or `quantized_torch`. This module knows
neither of them: it needs numpy alone.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dgemma_model.errors import ModelError
from dgemma_model.network.mapped import MappedTensors, Tensor

TILE = 16
"""Rows of a matrix that lie side by side in its file."""
GROUP = 32
"""Columns that share a scale."""
PIECE = 256
"""Tokens of a prompt that are run at once: so many that weights are read seldom, so few that they stay in cache."""

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Experts:
    """The experts of each layer, which only masked slots reach.

    Attributes:
        number: of them.
        chosen: how many a slot takes.
        width: of one.
        mask: the token of a masked slot.
    """

    number: int
    chosen: int
    width: int
    mask: int


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a network.

    Attributes:
        vocabulary: rows of the embedding.
        hidden: width of the states.
        inner: width of the MLP.
        heads: of queries; ``kv_heads`` of keys and values.
        epsilon: of all norms.
        experts: None where the network has none.
    """

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    epsilon: float
    experts: Experts | None = None

    @staticmethod
    def read(config: Mapping[str, Any], experts: bool) -> Shape:
        """From a checkpoint's configuration; ``experts``: whether it has their weights."""
        plain = config["plain"]
        names = ("vocabulary", "hidden", "layers", "heads", "kv_heads", "head_dim")
        sizes = {name: int(plain[name]) for name in names}
        found = Experts(**plain["experts"], mask=int(config["mask_token_id"])) if experts else None
        return Shape(
            **sizes, inner=int(plain["intermediate"]), epsilon=float(plain["epsilon"]), experts=found
        )


@dataclass(frozen=True, slots=True)
class Matrix:
    """A quantised matrix [rows, columns] as it is stored; ``rows`` is filled up with zeros to whole tiles.

    Attributes:
        codes: four bits: [tiles, groups, 256], the bytes being [4 quads, 16 rows, 4 columns], their low halves the
            group's first sixteen columns; eight bits, signed: [tiles, groups, 512], being [8, 16, 4].
        scales: [tiles, groups, 16]; a weight is code × scale + minimum.
        minima: the same; None for eight bits.
    """

    rows: int
    columns: int
    codes: Tensor
    scales: Tensor
    minima: Tensor | None

    def __post_init__(self) -> None:
        tiles, groups = -(-self.rows // TILE), self.columns // GROUP
        size = TILE * GROUP // (1 if self.minima is None else 2)
        scaled = (tiles, groups, TILE)
        shapes = (
            self.codes.shape,
            self.scales.shape,
            (self.scales if self.minima is None else self.minima).shape,
        )
        if self.columns % GROUP or shapes != ((tiles, groups, size), scaled, scaled):
            raise ModelError(f"A matrix of {self.rows} × {self.columns} has parts of the shapes {shapes}.")

    def weights(self) -> Floats:
        """[rows, columns] in float32."""
        tiles, groups, _ = self.codes.shape
        codes = self.codes
        if self.minima is not None:
            codes = np.stack((codes & 15, codes >> 4), 2)  # [tiles, groups, 2, 256]
        spread = codes.reshape(tiles, groups, -1, TILE, 4).transpose(0, 3, 1, 2, 4)
        wide = spread.reshape(tiles, TILE, groups, GROUP).astype(np.float32)
        wide *= self.scales.transpose(0, 2, 1)[..., None]
        if self.minima is not None:
            wide += self.minima.transpose(0, 2, 1)[..., None]
        return wide.reshape(-1, self.columns)[: self.rows]


class Checkpoint:
    """The weights of a folder, mapped.

    Attributes:
        frequencies: of rotary positions, radians a position [head_dim / 2].
    """

    def __init__(self, shape: Shape, tensors: Mapping[str, Tensor]) -> None:
        self.shape = shape
        self._tensors = tensors
        self.frequencies: Floats = self._get("rotary.frequencies")

    @staticmethod
    def open(folder: Path) -> Checkpoint:
        """Map the files of a folder.

        Raises:
            ModelError: it holds no quantised network of ours.
        """
        try:
            config = json.loads((folder / "config.json").read_bytes())
            layout = config["storage"].get("layout")
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{folder} holds no quantised network ({error!r}).") from None
        if layout != "tiles":
            raise ModelError(f"{folder} was written by an older version; grow it again.")
        tensors = MappedTensors(sorted(folder.glob("*.safetensors")))
        return Checkpoint(Shape.read(config, experts="layers.0.experts.router" in tensors), tensors)

    def matrix(self, name: str, rows: int, columns: int) -> Matrix:
        """A matrix by its name.

        Raises:
            ModelError: it is not there, or of another size.
        """
        minima = self._tensors.get(f"{name}.min")
        return Matrix(rows, columns, self._get(f"{name}.q"), self._get(f"{name}.scale"), minima)

    def vector(self, name: str) -> Floats | None:
        """A norm or a bias in float32; None where the network has none of that name."""
        return self._tensors.get(name)

    def layer_matrices(self, index: int) -> dict[str, Matrix]:
        """The matrices of a layer by their short names."""
        s = self.shape
        queries, keys = s.heads * s.head_dim, s.kv_heads * s.head_dim
        sizes = {
            "query": (queries, s.hidden),
            "key": (keys, s.hidden),
            "value": (keys, s.hidden),
            "out": (s.hidden, queries),
            "gate": (s.inner, s.hidden),
            "up": (s.inner, s.hidden),
            "down": (s.hidden, s.inner),
        }
        if s.experts:
            inner = s.experts.number * s.experts.width
            sizes |= {
                "experts.gate": (inner, s.hidden),
                "experts.up": (inner, s.hidden),
                "experts.down": (s.experts.number * s.hidden, s.experts.width),
            }
        return {name: self.matrix(f"layers.{index}.{name}", *size) for name, size in sizes.items()}

    def embedding(self) -> Matrix:
        """[vocabulary, hidden]."""
        return self.matrix("embedding", self.shape.vocabulary, self.shape.hidden)

    def head(self) -> Matrix:
        """What turns states into scores [vocabulary, hidden]: the embedding, where they are tied."""
        name = "head" if "head.q" in self._tensors else "embedding"
        return self.matrix(name, self.shape.vocabulary, self.shape.hidden)

    def _get(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise ModelError(f"The checkpoint lacks the tensor {name!r}.")
        return self._tensors[name]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a network holds likely, of some rows.

    Attributes:
        best: the likeliest tokens [rows, best], the likeliest first.
        best_likelihood: their log-likelihoods in nats.
        asked_likelihood: those of the tokens that were asked for [rows, asked].
    """

    best: Ints
    best_likelihood: Floats
    asked_likelihood: Floats


class Prompt(ABC):
    """Keys and values of one prompt, for all layers.

    Attributes:
        length: in tokens.
    """

    length: int

    @abstractmethod
    def truncate(self, length: int) -> None:
        """Forget all but the first ``length`` tokens."""

    @abstractmethod
    def copy(self, other: Prompt, length: int) -> None:
        """Become the first ``length`` tokens of another prompt of the same network, or of this one."""

    @abstractmethod
    def keep(self, tokens: Sequence[int]) -> None:
        """Make some tokens of the last pass part of the prompt.

        Args:
            tokens: their places in the pass, ascending; each must have seen the ones before it, and no others.
        """


class QuantizedNetwork(ABC):
    """A network, ready to run. Not for several threads at once.

    Attributes:
        shape: its sizes.
        kind: what runs it.
    """

    shape: Shape
    kind: str

    @abstractmethod
    def prompt(self) -> Prompt:
        """An empty one."""

    @abstractmethod
    def run(
        self,
        prompt: Prompt,
        ids: ArrayLike,
        *,
        positions: ArrayLike | None = None,
        seen: Booleans | None = None,
        wanted: ArrayLike | None = None,
    ) -> Floats:
        """Run some tokens behind a prompt, in one pass over the weights.

        The prompt stays as it is; `Prompt.keep` appends what was run, before anything else is run.

        Args:
            prompt: which all of the tokens see.
            ids: [tokens].
            positions: of each token; their places behind the prompt where nothing is said.
            seen: whether a token sees another one [tokens, tokens]; itself and those before it where nothing is said.
            wanted: the tokens whose states are wanted, ascending; all of them where nothing is said. Where none is
                wanted, only keys and values are computed.

        Returns:
            Their last states [wanted, hidden], before the last norm, for `rank` and `scores`.
        """

    @abstractmethod
    def scores(self, states: Floats) -> Floats:
        """The scores of all tokens [rows, vocabulary] after states [rows, hidden]."""

    @abstractmethod
    def rank(self, states: Floats, best: int = 1, asked: ArrayLike | None = None) -> Ranking:
        """The likeliest tokens after some states.

        Args:
            states: [rows, hidden].
            best: how many of the likeliest tokens are wanted.
            asked: tokens whose likelihoods are wanted [rows, asked].
        """

    def extend(
        self, prompt: Prompt, ids: ArrayLike, *, positions: ArrayLike | None = None, last: int = 0
    ) -> Floats:
        """Append tokens to a prompt, in pieces.

        Args:
            prompt: grows by them.
            ids: [tokens].
            positions: of each token; their places in the prompt where nothing is said.
            last: how many of the last tokens' states are wanted.

        Returns:
            Their last states [last, hidden].
        """
        tokens = np.asarray(ids, np.int32)
        at = np.arange(len(tokens)) + prompt.length if positions is None else np.asarray(positions, np.int32)
        found = [np.empty((0, self.shape.hidden), np.float32)]
        for start in range(0, len(tokens), PIECE):
            piece = tokens[start : start + PIECE]
            first = min(max(len(tokens) - last - start, 0), len(piece))
            wanted = np.arange(first, len(piece))
            found.append(self.run(prompt, piece, positions=at[start : start + PIECE], wanted=wanted))
            prompt.keep(range(len(piece)))
        return np.concatenate(found)


def ancestry(parents: Sequence[int]) -> Booleans:
    """Whether a node of a tree sees another one [nodes, nodes]: itself and its ancestors.

    Args:
        parents: for each node the one before it, which must stand further left; -1 behind the prompt.
    """
    seen = np.eye(len(parents), dtype=np.bool_)
    for node, parent in enumerate(parents):
        if parent >= 0:
            seen[node] |= seen[parent]
    return seen


def depths(parents: Sequence[int]) -> Ints:
    """How many nodes stand before each node of a tree: what its position has in addition to the prompt's length."""
    return np.asarray(ancestry(parents).sum(1) - 1, np.int32)
