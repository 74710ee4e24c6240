"""Keeps the documents as the editor has them: what it opens, changes and closes, notebooks included."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lsprotocol.types import (
    DidChangeNotebookDocumentParams,
    DidChangeTextDocumentParams,
    DidCloseNotebookDocumentParams,
    DidCloseTextDocumentParams,
    DidOpenNotebookDocumentParams,
    DidOpenTextDocumentParams,
    NotebookDocumentCellChangeStructure,
    TextDocumentContentChangeEvent,
)

from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.snapshot import Snapshot


class DocumentSync:
    """Follows the editor's documents.

    Args:
        documents: the open documents.
        changed: called with the URI of a document that has changed.
        closing: each is called with a document that is about to be closed.
    """

    def __init__(
        self,
        documents: Documents,
        changed: Callable[[str], None],
        closing: Sequence[Callable[[Snapshot], None]],
    ) -> None:
        self._documents = documents
        self._changed = changed
        self._closing = closing

    def did_open(self, params: DidOpenTextDocumentParams) -> None:
        self._documents.open(params.text_document)

    def did_change(self, params: DidChangeTextDocumentParams) -> None:
        self._change(params.text_document.uri, params.text_document.version, params.content_changes)

    def did_close(self, params: DidCloseTextDocumentParams) -> None:
        self._close(params.text_document.uri)

    def did_open_notebook(self, params: DidOpenNotebookDocumentParams) -> None:
        for cell in params.cell_text_documents:
            self._documents.open(cell)
        notebook = params.notebook_document
        self._documents.arrange(notebook.uri, [cell.document for cell in notebook.cells])

    def did_change_notebook(self, params: DidChangeNotebookDocumentParams) -> None:
        cells = params.change.cells
        if cells is None:
            return
        if cells.structure:
            self._rearrange(params.notebook_document.uri, cells.structure)
        for content in cells.text_content or ():
            self._change(content.document.uri, content.document.version, content.changes)

    def did_close_notebook(self, params: DidCloseNotebookDocumentParams) -> None:
        self._documents.arrange(params.notebook_document.uri, [])
        for cell in params.cell_text_documents:
            self._close(cell.uri)

    def _change(self, uri: str, version: int, changes: Sequence[TextDocumentContentChangeEvent]) -> None:
        self._documents.change(uri, version, changes)
        self._changed(uri)

    def _close(self, uri: str) -> None:
        if document := self._documents.get(uri):
            for close in self._closing:
                close(document)
            self._documents.close(document.uri)

    def _rearrange(self, notebook: str, structure: NotebookDocumentCellChangeStructure) -> None:
        for opened in structure.did_open or ():
            self._documents.open(opened)
        for closed in structure.did_close or ():
            self._close(closed.uri)
        order, change = self._documents.cells(notebook), structure.array
        order[change.start : change.start + change.delete_count] = [
            cell.document for cell in change.cells or ()
        ]
        self._documents.arrange(notebook, order)
