"""The two passes of a training step, over a batch's tokens without its padding.

On a CPU all prompts stand one behind the other, and so do all canvases (`Packed`): layers treat tokens one by one, and
only attention has to know which row a token belongs to; `kernels.Attention` is told for each query which keys it sees.
Nothing is then computed for padding or behind a mask. On a GPU, and where nothing was compiled, rows are run as they
are (`Padded`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from dgemma_model.network.layers import KeysValues, Layer, Network
from dgemma_model.network.native_library import processor_for
from dgemma_model.train.data.examples import Batch
from dgemma_model.train.step import kernels, layer


class Passes(ABC):
    """A batch and the network that is to be trained with it.

    Attributes:
        inside: which of the batch's prompt tokens there are [rows, prompt]; what is made of them is in that order.
        used: which of its slots [rows, slots], likewise.
    """

    def __init__(self, network: Network, batch: Batch) -> None:
        self._network, self._batch = network, batch
        self.inside = torch.arange(batch.prompt.shape[1]) < batch.lengths.unsqueeze(1)
        self.used = batch.group >= 0
        self._kept: list[KeysValues] = []

    @abstractmethod
    def encode(self) -> Tensor:
        """The last layer's states of the prompts' tokens [tokens, hidden]; keys and values are kept for `decode`."""

    @abstractmethod
    def decode(self, canvas: Tensor, belief: Tensor | None) -> Tensor:
        """The final states of the slots.

        Args:
            canvas: ids [rows, slots].
            belief: soft embeddings [used slots, hidden], or None.

        Returns:
            [used slots, hidden].
        """


class Padded(Passes):
    """Rows as they are, by torch's own attention, on the network's device."""

    def encode(self) -> Tensor:
        device = self._network.embedding.device
        ids, positions = self._batch.prompt.to(device), self._batch.prompt_positions.to(device)
        states, self._kept = self._network.encode(ids, positions)
        return states[self.inside.to(device)]

    def decode(self, canvas: Tensor, belief: Tensor | None) -> Tensor:
        device, used = self._network.embedding.device, self.used.to(self._network.embedding.device)
        whole = None
        if belief is not None:
            whole = belief.new_zeros(*canvas.shape, belief.shape[-1])
            whole[used] = belief
        positions, mask = self._batch.positions.to(device), self._batch.mask.to(device)
        return self._network.decode(canvas.to(device), positions, self._kept, whole, mask)[used]


class Packed(Passes):
    """All tokens in one row, by compiled layers."""

    def __init__(self, network: Network, batch: Batch, kind: str) -> None:
        super().__init__(network, batch)
        self._kind = kind
        self._prompt_ranges, self._canvas_ranges = prompt_ranges(batch), canvas_ranges(batch)

    def encode(self) -> Tensor:
        network, batch = self._network, self._batch
        x = network.embed(batch.prompt[self.inside])
        turn = _turn(network, batch.prompt_positions[self.inside])
        self._kept = []
        for own in _layers(network):
            query, key, value = layer.project(own, x, turn, self._kind)
            self._kept.append((key, value))
            x = layer.finish(own, x, self._attend(query, key, value, self._prompt_ranges), self._kind)
        return x

    def decode(self, canvas: Tensor, belief: Tensor | None) -> Tensor:
        network = self._network
        x: Tensor = network.self_conditioning(network.embed(canvas[self.used]), belief)
        turn = _turn(network, self._batch.positions[self.used])
        for own, kept in zip(_layers(network), self._kept, strict=True):
            query, key, value = layer.project(own, x, turn, self._kind)
            key, value = torch.cat((kept[0], key)), torch.cat((kept[1], value))
            x = layer.finish(own, x, self._attend(query, key, value, self._canvas_ranges), self._kind)
        return x

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, ranges: Tensor) -> Tensor:
        found: Tensor = kernels.Attention.apply(query, key, value, ranges, self._kind)  # type: ignore[no-untyped-call]
        return found


def _turn(network: Network, positions: Tensor) -> Tensor:
    """Cosines and sines of positions [tokens], as `layer.project` wants them."""
    angles = positions[:, None].float() * network.frequencies
    return torch.cat((angles.cos(), angles.sin()), 1)


def best_passes(network: Network, batch: Batch, dtype: torch.dtype) -> Passes:
    """The fastest passes for a network where it lies, its matrix products being in ``dtype``."""
    kind = packed_kind(network.embedding.device.type, dtype)
    return Padded(network, batch) if kind is None else Packed(network, batch, kind)


def packed_kind(device: str, dtype: torch.dtype) -> str | None:
    """The kind of processor whose code packed passes use there; None where rows must be padded."""
    return processor_for(dtype) if device == "cpu" else None


def prompt_ranges(batch: Batch) -> Tensor:
    """What each token of the prompts sees, as `kernels.Attention` wants it: its row up to itself [tokens, 4]."""
    starts = (batch.lengths.cumsum(0) - batch.lengths).repeat_interleave(batch.lengths)
    ends = torch.arange(1, len(starts) + 1)
    return torch.stack((starts, ends, torch.zeros_like(ends), torch.zeros_like(ends)), 1).int()


def canvas_ranges(batch: Batch) -> Tensor:
    """What each used slot sees: some of its row's prompt, and the slots of its group behind all prompts [slots, 4]."""
    used = batch.group >= 0
    row = torch.arange(len(used)).unsqueeze(1).expand_as(used)[used]
    starts = (batch.lengths.cumsum(0) - batch.lengths)[row]
    groups = torch.stack((row, batch.group[used]), 1)
    _, sizes = torch.unique_consecutive(groups, dim=0, return_counts=True)
    ends = sizes.cumsum(0) + int(batch.lengths.sum())
    own = torch.stack((ends - sizes, ends), 1).repeat_interleave(sizes, 0)
    return torch.cat((starts[:, None], (starts + batch.visible[used])[:, None], own), 1).int()


def _layers(network: Network) -> list[Layer]:
    return [layer for layer in network.layers if isinstance(layer, Layer)]
