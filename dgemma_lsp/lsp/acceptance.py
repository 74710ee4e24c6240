"""Counts the completions that are shown and accepted, and how much of the accepted ones the user keeps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from difflib import SequenceMatcher

from dgemma_lsp.lsp.counters import Counters, Counts
from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.text.masked import Region

KEPT_SECONDS = 30.0
"""How long after a completion was accepted it is counted how much of it is still there."""

_NEIGHBOURHOOD = 1000
"""How many characters around its first region an accepted text is looked for in."""

_SHORTEST_KEPT = 3
"""How many characters in a row count as kept at the least."""


@dataclass(frozen=True, slots=True, eq=False)
class _Accepted:
    """A completion that the user has accepted.

    Attributes:
        uri: its document.
        text: its text.
        region: where it was put.
    """

    uri: str
    text: str
    region: Region


class Acceptance:
    """Counts, if the setting ``counters`` is on, what becomes of completions.

    Args:
        documents: the open documents.
        preferences: where the settings come from.
        counters: where the numbers go.
    """

    def __init__(self, documents: Documents, preferences: Preferences, counters: Counters) -> None:
        self._documents = documents
        self._preferences = preferences
        self._counters = counters
        self._accepted: list[_Accepted] = []

    @property
    def is_counted(self) -> bool:
        return self._preferences.settings.counters

    def count_shown(self, text: str) -> None:
        """Count a completion that is shown for the first time."""
        if self.is_counted:
            self._counters.add(Counts(shown=1, shown_characters=len(text)))

    def count_accepted(self, document: Snapshot, text: str, end: int) -> None:
        """Count a completion that the user has accepted, and later how much of it is kept.

        Args:
            document: where it was accepted.
            text: the completion.
            end: the character offset behind it.
        """
        if not self.is_counted:
            return
        self._counters.add(Counts(accepted=1, accepted_characters=len(text)))
        accepted = _Accepted(document.uri, text, Region(end - len(text), end))
        self._accepted.append(accepted)
        asyncio.get_running_loop().call_later(KEPT_SECONDS, self._count_kept, accepted)

    def forget(self, document: Snapshot) -> None:
        """Count what is kept in a document that is being closed."""
        for accepted in [accepted for accepted in self._accepted if accepted.uri == document.uri]:
            self._count_kept(accepted)

    def _count_kept(self, accepted: _Accepted) -> None:
        """Count how much of a text is still there, unless that was done when its document was closed."""
        if accepted not in self._accepted:
            return
        self._accepted.remove(accepted)
        if (document := self._documents.get(accepted.uri)) is not None:
            kept = _kept_characters(accepted.text, _neighbourhood(document.text, accepted.region))
            self._counters.add(Counts(kept_characters=kept))
        self._counters.save()


def _neighbourhood(text: str, region: Region) -> str:
    return text[max(0, region.start - _NEIGHBOURHOOD) : region.end + _NEIGHBOURHOOD]


def _kept_characters(text: str, nearby: str) -> int:
    blocks = SequenceMatcher(None, text, nearby, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks if block.size >= min(_SHORTEST_KEPT, len(text)))
