"""Keep the last prompts of a quantised network, so that a similar one is computed only where it differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dgemma_model.network.quantized import Floats, Prompt, QuantizedNetwork

_EXPENDABLE = 64
"""Tokens that a kept prompt may lose when it is continued in place: what was written behind it, typed or deleted."""


@dataclass(slots=True, eq=False)
class Kept:
    """A prompt with its tokens.

    Attributes:
        prompt: its keys and values.
        ids: its tokens; whoever lengthens or shortens the one does so to the other.
    """

    prompt: Prompt
    ids: list[int] = field(default_factory=list)

    def truncate(self, length: int) -> None:
        """Forget all but the first ``length`` tokens."""
        self.prompt.truncate(length)
        del self.ids[length:]

    def keep(self, ids: Sequence[int]) -> None:
        """Make the first tokens of the last pass part of the prompt."""
        self.prompt.keep(range(len(ids)))
        self.ids.extend(ids)


class KeptPrompts:
    """Computes prompts and remembers the last few of them. Only one thread at a time may use it."""

    def __init__(self, network: QuantizedNetwork, prompts: int = 4) -> None:
        self._network, self._most = network, prompts
        self._kept: list[Kept] = []  # the most recently used is last

    def compute(self, ids: Sequence[int]) -> tuple[Kept, Floats, int]:
        """Compute a prompt of at least one token.

        Returns:
            The prompt, valid until the next call; the state of its last token [1, hidden]; how many tokens were new.
        """
        kept = self._begun(ids)
        new = ids[len(kept.ids) :]
        states = self._network.extend(kept.prompt, np.asarray(new, np.int32), last=1)
        kept.ids.extend(new)
        return kept, states, len(new)

    def _begun(self, ids: Sequence[int]) -> Kept:
        """Take a prompt that holds as many of the first tokens as possible, but not the last, and nothing else."""
        best = max(self._kept, key=lambda kept: common(kept.ids, ids), default=None)
        same = 0 if best is None else min(common(best.ids, ids), len(ids) - 1)
        if best is not None and same and len(best.ids) - same <= _EXPENDABLE:
            begun = best
        else:
            begun = self._free()
            if best is not None and same:
                begun.prompt.copy(best.prompt, same)
                begun.ids = best.ids[:same]
        begun.truncate(same)
        if begun in self._kept:
            self._kept.remove(begun)
        self._kept.append(begun)
        return begun

    def _free(self) -> Kept:
        """A new prompt, or the least recently used one."""
        return Kept(self._network.prompt()) if len(self._kept) < self._most else self._kept[0]


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two prompts have in common at their beginning."""
    for index, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return index
    return min(len(first), len(second))
