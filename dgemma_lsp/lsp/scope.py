"""Which documents the server works in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.snapshot import Snapshot, path_of
from dgemma_lsp.lsp.status import Reason
from dgemma_lsp.settings.exclusion import Exclusions
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.text import languages


class Scope:
    """Leaves out excluded documents and those in languages that the settings do not name.

    Args:
        documents: the open documents.
        preferences: where the settings come from.
        roots: returns the folders of the workspace.
    """

    def __init__(
        self, documents: Documents, preferences: Preferences, roots: Callable[[], Iterable[str]]
    ) -> None:
        self._documents = documents
        self._preferences = preferences
        self._roots = roots
        self.renew()

    def renew(self) -> None:
        """Follow settings that have changed."""
        self._exclusions = Exclusions(self._preferences.settings.exclude)

    def reason_against(self, document: Snapshot) -> Enum | None:
        """Return why nothing may be done in a document, as an enum's member whose value says it; None if it may."""
        # A cell is excluded with its notebook.
        for uri in filter(None, (document.uri, self._documents.notebook(document.uri))):
            if excluded := self._exclusions.reason(uri, path_of(uri), self._roots()):
                return excluded
        # In a language that the model has never seen it would only be in the way.
        named = self._preferences.of(document.path).languages
        return None if languages.is_one_of(document.language, named) else Reason.LANGUAGE
