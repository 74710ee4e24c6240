"""Keys and values of the last prompts, kept: a prompt that begins like one of them is encoded only where it differs.

Several are kept because requests alternate: between widths of a canvas, which move the text behind it, between two
places of a file, and between the two sides of an alignment boundary while somebody types and deletes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch

from dgemma_model.network import KeysValues, Network


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    tokens: list[tuple[int, int]]  # id and document position
    kept: list[KeysValues]


class PromptCache:
    """The encoder's keys and values of some prompts. Not for several threads at once."""

    def __init__(self, network: Network, prompts: int = 4) -> None:
        self._network = network
        self._entries: deque[_Entry] = deque(maxlen=prompts)  # the most recently used last

    @torch.inference_mode()
    def encode(self, prompt: list[int], positions: list[int]) -> tuple[list[KeysValues], int]:
        """Keys and values of every layer for ``prompt``, and the number of tokens that had to be encoded.

        Args:
            prompt: token ids in causal order.
            positions: document position of each; a token is the same only where its position is.
        """
        tokens = list(zip(prompt, positions, strict=True))
        best = max(self._entries, key=lambda entry: _common(entry.tokens, tokens), default=_Entry([], []))
        same = _common(best.tokens, tokens)
        past = [(key[:, :, :same], value[:, :, :same]) for key, value in best.kept] if same else None
        if same < len(tokens):
            ids, at = (torch.tensor([column[same:]]) for column in (prompt, positions))
            _, past = self._network.encode(ids, at, past)
        assert past is not None, "a prompt has at least its first token"
        if same == len(best.tokens) and best in self._entries:
            self._entries.remove(best)  # the new one says all that it said
        self._entries.append(_Entry(tokens, past))
        return past, len(tokens) - same


def _common(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> int:
    for index, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return index
    return min(len(first), len(second))
