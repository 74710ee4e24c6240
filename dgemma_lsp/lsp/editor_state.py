"""What editors tell about their documents that the protocol has no word for.

A completion would only be in the way while something is selected, and could not be used in a read-only document.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.lsp.status import Reason

READ_ONLY_SCHEMES = frozenset({"git", "gitfs", "output", "vscode-scm", "walkThroughSnippet"})
"""The schemes of documents that editors only show."""

_WRITABLE_BITS = 0o222


class EditorState:
    """Which documents are read-only, and in which of them something is selected, as far as the editor tells.

    Args:
        documents: the open documents.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._selecting: set[str] = set()
        self._read_only: set[str] = set()

    def changed(self, params: object) -> None:
        """Take over {"uri": …, "selecting": …, "readOnly": …} of a document; a state that is not named stays."""
        uri = getattr(params, "uri", None)
        document = self._documents.get(uri) if isinstance(uri, str) else None
        if document is None:
            return
        for documents, name in ((self._selecting, "selecting"), (self._read_only, "readOnly")):
            if getattr(params, name, None) is True:
                documents.add(document.uri)
            elif getattr(params, name, None) is False:
                documents.discard(document.uri)

    def reason_against(self, document: Snapshot, asked: bool) -> Reason | None:
        """Return why a completion would be useless or in the way; None if it could help.

        Args:
            document: where it would be shown.
            asked: whether the user has asked for it. Then a selection does not matter.
        """
        if self._is_read_only(document):
            return Reason.READ_ONLY
        return Reason.SELECTION if not asked and document.uri in self._selecting else None

    def forget(self, document: Snapshot) -> None:
        """Forget a document that is being closed."""
        self._selecting.discard(document.uri)
        self._read_only.discard(document.uri)

    def _is_read_only(self, document: Snapshot) -> bool:
        if document.uri in self._read_only or urlsplit(document.uri).scheme in READ_ONLY_SCHEMES:
            return True
        try:
            return document.path is not None and not Path(document.path).stat().st_mode & _WRITABLE_BITS
        except OSError:  # the file does not exist yet
            return False
