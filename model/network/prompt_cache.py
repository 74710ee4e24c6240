"""Keep the keys and values of the last prompts, so that a similar prompt is encoded only where it differs.

Several prompts are kept, because requests alternate: between widths of a canvas, which move the text behind it, between
two places of a file, and between the two sides of an alignment boundary while somebody types and deletes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dgemma_model.network.runner import Prompt, Runner

Tokens = list[tuple[int, int]]
"""Ids with their document positions: a token is the same only at the same position."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    tokens: Tokens
    prompt: Prompt


class PromptCache:
    """Encodes prompts and remembers the last few of them. Only one thread at a time may use it.

    Attributes:
        expendable: a kept prompt is continued in place if that loses at most this many of its tokens, as when somebody
            types or deletes; otherwise it stays, and the common beginning is copied.
    """

    def __init__(self, runner: Runner, prompts: int = 4, expendable: int = 8) -> None:
        self.expendable = expendable
        self._runner, self._prompts = runner, prompts
        self._entries: list[_Entry] = []  # the most recently used is last

    def known(self, ids: list[int], positions: list[int]) -> int:
        """Count how many of a prompt's first tokens need not be encoded."""
        tokens = list(zip(ids, positions, strict=True))
        return max((_common(entry.tokens, tokens) for entry in self._entries), default=0)

    @torch.inference_mode()
    def encode(self, ids: list[int], positions: list[int]) -> tuple[Prompt, int]:
        """Encode a prompt, and count the tokens that were not in the cache.

        The prompt is valid until the next call, which may continue it in place.

        Args:
            ids: the prompt's tokens in causal order.
            positions: the document position of each.
        """
        tokens = list(zip(ids, positions, strict=True))
        prompt = self._begun(tokens)
        known = prompt.length
        if known < len(tokens):
            self._runner.store(prompt, torch.tensor(ids[known:]), torch.tensor(positions[known:]))
        self._entries.append(_Entry(tokens, prompt))
        return prompt, len(tokens) - known

    def _begun(self, tokens: Tokens) -> Prompt:
        """Take out, or copy, a prompt that holds as many of the first tokens as possible, and nothing else."""
        if not self._entries:
            return self._runner.prompt()
        same, best = max(((_common(entry.tokens, tokens), entry) for entry in self._entries), key=_first)
        if same and len(best.tokens) - same <= self.expendable:
            self._entries.remove(best)
            best.prompt.truncate(same)
            return best.prompt
        full = len(self._entries) == self._prompts
        begun = self._entries[0].prompt if full else self._runner.prompt()
        begun.copy(best.prompt, same)
        self._entries = self._entries[full:]
        return begun


def _first(pair: tuple[int, _Entry]) -> int:
    return pair[0]


def _common(first: Tokens, second: Tokens) -> int:
    for index, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return index
    return min(len(first), len(second))
