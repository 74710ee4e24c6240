"""How a network is run once it is trained: what the rest of this package asks of it, and the fastest way to do it here.

On a CPU that is our own compiled code (`native`); elsewhere, and where nothing was compiled, torch runs the layers of
`network` as they are (`torch_runner`). Both give the same numbers, and the tests compare them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from dgemma_model.network.config import NetworkConfig
from dgemma_model.network.layers import Network


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
        """Become the first ``length`` tokens of another prompt of the same runner, or of this one."""


class Runner(ABC):
    """A network's weights, ready for inference. Not for several threads at once.

    Token ids, positions, probabilities and what is returned lie on the CPU wherever the weights lie.

    Attributes:
        config: of the network.
        dtype: in which weights are multiplied.
    """

    config: NetworkConfig
    dtype: torch.dtype

    @abstractmethod
    def prompt(self) -> Prompt:
        """An empty one."""

    @abstractmethod
    def extend(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> Tensor:
        """Append tokens to a prompt, causally in the order of ``ids``.

        Args:
            prompt: keys and values are appended to it.
            ids: [tokens].
            positions: document positions [tokens], in any order.

        Returns:
            The last layer's states [1, tokens, hidden].
        """

    @abstractmethod
    def store(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> None:
        """As `extend`, for its keys and values alone."""

    @abstractmethod
    def peek(self, prompt: Prompt, ids: Tensor, positions: Tensor, parents: Sequence[int]) -> Tensor:
        """Run continuations of a prompt that begin alike, as a tree; nothing is kept.

        Args:
            prompt: before them.
            ids: of the tree's nodes [tokens].
            positions: document positions [tokens].
            parents: for each node the one before it, which must stand further left; -1 behind the prompt.

        Returns:
            States [tokens, hidden]; a node sees the prompt, its ancestors and itself.
        """

    @abstractmethod
    def decode(
        self, canvas: Tensor, positions: Tensor, prompt: Prompt, belief: Tensor | None = None
    ) -> Tensor:
        """Run canvases bidirectionally, each over itself and the prompt.

        Args:
            canvas: ids [batch, slots].
            positions: document positions [batch, slots].
            prompt: shared by all.
            belief: soft embeddings of the last step [batch, slots, hidden] (see `believe`), or None in the first.

        Returns:
            The final states [batch, slots, hidden]; `logits` turns them into scores.
        """

    @abstractmethod
    def logits(self, states: Tensor) -> Tensor:
        """Soft-capped scores [..., vocabulary] of final states [..., hidden], in float32."""

    @abstractmethod
    def soften(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn scores [..., vocabulary] into probabilities, in place.

        Returns:
            The probabilities, the index of the likeliest [...], and the entropy in nats [...].
        """

    @abstractmethod
    def believe(self, probabilities: Tensor) -> Tensor:
        """Soft embeddings [..., hidden] of probabilities [..., vocabulary]: the next step's self-conditioning."""

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings [..., hidden] of ids [...]."""


def ancestry(parents: Sequence[int]) -> Tensor:
    """Whether a node [tokens] of a tree is an ancestor of another one, or itself: booleans [tokens, tokens]."""
    seen = torch.eye(len(parents), dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            seen[node] |= seen[parent]
    return seen


def best_runner(network: Network) -> Runner:
    """The fastest runner for a network where it lies, with as many threads as torch has."""
    from dgemma_model.network.native_runner import NativeRunner
    from dgemma_model.network.torch_runner import TorchRunner

    return NativeRunner(network) if NativeRunner.can_run(network) else TorchRunner(network)
