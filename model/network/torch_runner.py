"""`TorchRunner`: the network run by torch, on a GPU and wherever nothing was compiled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dgemma_model.network.layers import KeysValues, Network
from dgemma_model.network.runner import Prompt, Runner, ancestry

PIECE = 256
"""Tokens of a prompt that run at once: a longer piece would compute more scores above the causal diagonal."""


class TorchPrompt(Prompt):
    """Keys and values as the network returns them."""

    def __init__(self) -> None:
        self.length = 0
        self.kept: list[KeysValues] | None = None  # None while the prompt is empty

    def truncate(self, length: int) -> None:
        self.length = min(self.length, length)
        self.kept = self._first(self.length)

    def copy(self, other: Prompt, length: int) -> None:
        assert isinstance(other, TorchPrompt)
        self.length, self.kept = length, other._first(length)  # tensors are never written in place

    def _first(self, length: int) -> list[KeysValues] | None:
        if self.kept is None or not length:
            return None
        return [(key[:, :, :length], value[:, :, :length]) for key, value in self.kept]


class TorchRunner(Runner):
    """The network itself, on its own device and in its own type."""

    def __init__(self, network: Network) -> None:
        self._network, self.config = network, network.config
        self._device, self.dtype = network.embedding.device, network.embedding.dtype

    def prompt(self) -> TorchPrompt:
        return TorchPrompt()

    @torch.inference_mode()
    def extend(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> Tensor:
        assert isinstance(prompt, TorchPrompt)
        states = []
        for piece, at in zip(ids.split(PIECE), positions.split(PIECE), strict=True):
            new, prompt.kept = self._network.encode(
                self._here(piece[None]), self._here(at[None]), prompt.kept
            )
            prompt.length += len(piece)
            states.append(new)
        return self._back(torch.cat(states, 1))

    def store(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> None:
        self.extend(prompt, ids, positions)

    @torch.inference_mode()
    def peek(self, prompt: Prompt, ids: Tensor, positions: Tensor, parents: Sequence[int]) -> Tensor:
        assert isinstance(prompt, TorchPrompt)
        seen = torch.cat((torch.ones(len(ids), prompt.length, dtype=torch.bool), ancestry(parents)), 1)
        nodes = (self._here(ids[None]), self._here(positions[None]))
        return self._back(self._network.encode(*nodes, prompt.kept, self._here(seen))[0][0])

    @torch.inference_mode()
    def decode(self, ids: Tensor, positions: Tensor, prompt: Prompt, belief: Tensor | None = None) -> Tensor:
        assert isinstance(prompt, TorchPrompt)
        assert prompt.kept is not None, "a prompt has at least one token"
        conditioned = None if belief is None else self._here(belief).to(self.dtype)
        states = self._network.decode(self._here(ids), self._here(positions), prompt.kept, conditioned)
        return self._back(states)

    @torch.inference_mode()
    def logits(self, states: Tensor) -> Tensor:
        return self._back(self._network.logits(self._here(states).to(self.dtype)))

    @torch.inference_mode()
    def soften(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        best = scores.argmax(-1)
        probabilities = scores.softmax(-1)
        entropies = entropy(probabilities, scores, best)
        return scores.copy_(probabilities), best, entropies

    @torch.inference_mode()
    def believe(self, probabilities: Tensor) -> Tensor:
        return self._back(self._network.believe(self._here(probabilities).to(self.dtype)))

    @torch.inference_mode()
    def embed(self, ids: Tensor) -> Tensor:
        return self._back(self._network.embed(self._here(ids)))

    def _here(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device)

    @staticmethod
    def _back(tensor: Tensor) -> Tensor:
        return tensor.to("cpu", torch.float32)


def entropy(probabilities: Tensor, scores: Tensor, best: Tensor) -> Tensor:
    """Compute the entropy in nats [...] of softmaxed scores without taking the logarithm of each probability.

    Args:
        probabilities: [..., vocabulary].
        scores: their softmax is ``probabilities`` [..., vocabulary].
        best: index of a large probability [...].
    """
    index = best.unsqueeze(-1)
    normaliser = (scores.gather(-1, index) - probabilities.gather(-1, index).log()).squeeze(-1)
    mean: Tensor = torch.linalg.vecdot(probabilities, scores)
    return (normaliser - mean).clamp_(min=0)
