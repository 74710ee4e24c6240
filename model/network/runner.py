"""The port `Runner`: what the rest of this package asks of a trained network.

It has two forms: `native_runner` runs our own compiled code on a CPU, `torch_runner` runs the layers of `layers`
wherever torch can. `best_runner` chooses. Both compute the same numbers, and the tests compare them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from dgemma_model.network.config import NetworkConfig


class Prompt(ABC):
    """The keys and values of one prompt, for all layers.

    Attributes:
        length: number of tokens.
    """

    length: int

    @abstractmethod
    def truncate(self, length: int) -> None:
        """Forget all but the first ``length`` tokens."""

    @abstractmethod
    def copy(self, other: Prompt, length: int) -> None:
        """Become the first ``length`` tokens of another prompt of the same runner, or of this one."""


class Runner(ABC):
    """A network's weights, ready for inference. Only one thread at a time may use it.

    Token ids, positions, probabilities and everything it returns are on the CPU, wherever the weights are.

    Attributes:
        config: shape of the network.
        dtype: type in which weights are multiplied.
    """

    config: NetworkConfig
    dtype: torch.dtype

    @abstractmethod
    def prompt(self) -> Prompt:
        """Make an empty prompt."""

    @abstractmethod
    def extend(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> Tensor:
        """Append tokens to a prompt; each sees those before it in the order of ``ids``.

        Args:
            prompt: receives the new keys and values.
            ids: [tokens].
            positions: document positions [tokens], in any order.

        Returns:
            The last layer's states [1, tokens, hidden].
        """

    @abstractmethod
    def store(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> None:
        """Do what `extend` does, but compute keys and values only."""

    @abstractmethod
    def peek(self, prompt: Prompt, ids: Tensor, positions: Tensor, parents: Sequence[int]) -> Tensor:
        """Run a tree of continuations of a prompt without changing the prompt.

        Args:
            prompt: the tokens before the tree.
            ids: the tree's nodes [tokens].
            positions: document positions [tokens].
            parents: index of each node's parent, which must be smaller than its own; -1 directly behind the prompt.

        Returns:
            States [tokens, hidden]; a node sees the prompt, its ancestors and itself.
        """

    @abstractmethod
    def decode(self, ids: Tensor, positions: Tensor, prompt: Prompt, belief: Tensor | None = None) -> Tensor:
        """Run canvases bidirectionally; each sees itself and the prompt.

        Args:
            ids: the canvases' tokens [batch, slots].
            positions: document positions [batch, slots].
            prompt: shared by all canvases.
            belief: soft embeddings of the last step [batch, slots, hidden] (see `believe`); None in the first step.

        Returns:
            The final states [batch, slots, hidden]; `logits` turns them into scores.
        """

    @abstractmethod
    def logits(self, states: Tensor) -> Tensor:
        """Compute soft-capped scores [..., vocabulary] of final states [..., hidden], in float32."""

    @abstractmethod
    def soften(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn scores [..., vocabulary] into probabilities, in place.

        Returns:
            The probabilities, the index of the likeliest [...], and the entropy in nats [...].
        """

    @abstractmethod
    def believe(self, probabilities: Tensor) -> Tensor:
        """Compute soft embeddings [..., hidden] of probabilities [..., vocabulary], to condition the next step."""

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Look up the token embeddings [..., hidden] of ids [...]."""


def ancestry(parents: Sequence[int]) -> Tensor:
    """Tell which nodes of a tree each node sees: booleans [tokens, tokens], True for itself and its ancestors."""
    seen = torch.eye(len(parents), dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            seen[node] |= seen[parent]
    return seen
