"""Keys and values of the last prompts, kept: a prompt that begins like one of them is encoded only where it differs.

Several are kept because requests alternate: between widths of a canvas, which move the text behind it, between two
places of a file, and between the two sides of an alignment boundary while somebody types and deletes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dgemma_model.network.runner import Prompt, Runner

Tokens = list[tuple[int, int]]
"""Ids and document positions: a token is the same only where its position is."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    tokens: Tokens
    kept: Prompt


class PromptCache:
    """The encoder's keys and values of some prompts. Not for several threads at once.

    Attributes:
        expendable: a kept prompt is continued in place if that loses at most so many of its tokens, as when somebody
            types or deletes; otherwise it stays, and what both have in common is copied.
    """

    def __init__(self, runner: Runner, prompts: int = 4, expendable: int = 8) -> None:
        self.expendable = expendable
        self._runner, self._prompts = runner, prompts
        self._entries: list[_Entry] = []  # the most recently used last

    def known(self, prompt: list[int], positions: list[int]) -> int:
        """How many of a prompt's first tokens need not be encoded."""
        tokens = list(zip(prompt, positions, strict=True))
        return max((_common(entry.tokens, tokens) for entry in self._entries), default=0)

    @torch.inference_mode()
    def encode(self, prompt: list[int], positions: list[int]) -> tuple[Prompt, int]:
        """Keys and values of ``prompt``, and the number of tokens that had to be encoded.

        They are valid until the next call, which may go on in the same place.

        Args:
            prompt: token ids in causal order.
            positions: document position of each.
        """
        tokens = list(zip(prompt, positions, strict=True))
        kept = self._begun(tokens)
        fresh = len(tokens) - kept.length
        if fresh:
            ids, at = (torch.tensor(column[kept.length :]) for column in (prompt, positions))
            self._runner.store(kept, ids, at)
        self._entries.append(_Entry(tokens, kept))
        return kept, fresh

    def _begun(self, tokens: Tokens) -> Prompt:
        """Keys and values of as many of the first tokens as possible, in no entry any more."""
        if not self._entries:
            return self._runner.prompt()
        same, best = max(((_common(entry.tokens, tokens), entry) for entry in self._entries), key=_first)
        if same and len(best.tokens) - same <= self.expendable:
            self._entries.remove(best)
            best.kept.truncate(same)
            return best.kept
        full = len(self._entries) == self._prompts
        begun = self._entries[0].kept if full else self._runner.prompt()
        begun.copy(best.kept, same)
        self._entries = self._entries[full:]
        return begun


def _first(pair: tuple[int, _Entry]) -> int:
    return pair[0]


def _common(first: Tokens, second: Tokens) -> int:
    for index, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return index
    return min(len(first), len(second))
