"""Proofreading: hints at what the model did not expect, each with a quick fix that replaces one word or sign.

The command reads the whole document. On saving, if the setting ``proofread.onSave`` is on, only lines that were not
read before are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from lsprotocol.types import CodeAction, DidSaveTextDocumentParams, PublishDiagnosticsParams

from dgemma_lsp.engines.base import EngineError
from dgemma_lsp.lsp import to_lsp
from dgemma_lsp.lsp.capabilities import AskCapabilities
from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.failures import TURNED_OFF, failure
from dgemma_lsp.lsp.hints import Hints, PlacedHint
from dgemma_lsp.lsp.progress import Bars
from dgemma_lsp.lsp.scope import Scope
from dgemma_lsp.lsp.session import Job, RequestKey, Session, Superseded
from dgemma_lsp.lsp.session_holder import SessionHolder
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.lsp.status import failed, silent
from dgemma_lsp.lsp.teller import Teller
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.settings.settings import LogLevel
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.proofreading import lines_to_read, prose_regions
from dgemma_lsp.text.source_code import SourceCode
from dgemma_model.protocol import Hint, ProofreadRequest

MOST_LINES = 1000
"""How many lines are read when the user asks: half a minute of work."""

MOST_LINES_ON_SAVE = 100

CANNOT = "This model cannot proofread."

Publish = Callable[[PublishDiagnosticsParams], None]
"""Sends diagnostics to the editor."""


class Proofreader:
    """Reads documents, shows hints and offers quick fixes.

    Args:
        documents: the open documents.
        sessions: where the model is.
        preferences: where the settings come from.
        scope: which documents the server works in.
        capabilities: returns what the editor can do.
        bars: show how far a long document has been read.
        publish: sends diagnostics to the editor.
        teller: tells what has become of a request.
    """

    def __init__(
        self,
        documents: Documents,
        sessions: SessionHolder,
        preferences: Preferences,
        scope: Scope,
        capabilities: AskCapabilities,
        bars: Bars,
        publish: Publish,
        teller: Teller,
    ) -> None:
        self._documents = documents
        self._sessions = sessions
        self._preferences = preferences
        self._scope = scope
        self._capabilities = capabilities
        self._bars = bars
        self._publish_diagnostics = publish
        self._teller = teller
        self._hints = Hints(documents)
        self._read_lines: dict[str, set[str]] = {}

    async def proofread(self, uri: str) -> int:
        """Read a document for the user, and return how many hints there are.

        Raises:
            JsonRpcException: it cannot be read; the message says why.
        """
        document = self._documents.get(uri)
        if document is None:
            raise failure("The document is not open.")
        if reason := self._scope.reason_against(document):
            self._teller.tell(silent(reason))
            raise failure(f"This document is not proofread: {reason.value}.")
        session = self._sessions.session
        if session is None:
            raise failure(TURNED_OFF)
        if not session.capabilities.proofreads:
            raise failure(CANNOT)
        page = await self._page(document)
        page = replace(page, spans=page.spans[:MOST_LINES])
        try:
            hints = await self._read_in_view(session, document, page)
        except Superseded as error:
            raise failure("The document is being proofread again.") from error
        except EngineError as error:
            self._teller.tell(failed(error))
            raise failure(str(error)) from error
        self._read_lines[document.uri] = _texts(page)
        self._hints.put(document, _placed(document, hints))
        self._publish(document.uri)
        self._teller.log(LogLevel.INFO, f"Proofread {len(page.spans)} lines; {len(hints)} hints.")
        return len(self._shown(document.uri))

    async def did_save(self, params: DidSaveTextDocumentParams) -> None:
        """Read the lines that were not read before, if the user wants that."""
        document, session = self._documents.get(params.text_document.uri), self._sessions.session
        if document is None or session is None or not session.capabilities.proofreads:
            return
        if not self._preferences.of(document.path).proofread.on_save or self._scope.reason_against(document):
            return
        page = await self._page(document)
        known = self._read_lines.setdefault(document.uri, set())
        unread = [span for span in page.spans if page.text[slice(*span)] not in known]
        if not unread:
            return
        page = replace(page, spans=tuple(unread[:MOST_LINES_ON_SAVE]))
        try:
            hints = await session.proofread(page, _key(document))
        except (Superseded, EngineError) as error:
            self._teller.log(LogLevel.DEBUG, "The saved lines were not proofread.", source=str(error))
            return
        known |= _texts(page)
        self._hints.put_in_lines(document, [Region(*span) for span in page.spans], _placed(document, hints))
        self._publish(document.uri)

    def follow(self, uri: str) -> None:
        """Take away the hints whose own text was edited; the others move with the text in every editor."""
        document = self._documents.get(uri)
        if document is not None and self._hints.follow(document):
            self._publish(uri)

    def forget(self, document: Snapshot) -> None:
        """Forget a document that is being closed."""
        self._read_lines.pop(document.uri, None)
        if self._hints.forget(document):
            self._publish_diagnostics(PublishDiagnosticsParams(document.uri, []))

    def show_again(self) -> None:
        """Show the hints that settle the settings that have changed."""
        for uri in self._hints.read_documents():
            document = self._documents.get(uri)
            if document is not None and self._scope.reason_against(document):
                self._hints.put(document, [])
            self._publish(uri)

    def quick_fixes(self, document: Snapshot, selected: Region) -> list[CodeAction]:
        """Offer the fixes of the hints that a selection touches."""
        return [
            to_lsp.quick_fix(document, hint, self._capabilities())
            for hint in self._shown(document.uri)
            if hint.region.start <= selected.end and selected.start <= hint.region.end
        ]

    async def _page(self, document: Snapshot) -> ProofreadRequest:
        return await asyncio.to_thread(_page, document, self._preferences.of(document.path).markers)

    async def _read_in_view(
        self, session: Session, document: Snapshot, page: ProofreadRequest
    ) -> Sequence[Hint]:
        """Read a page while a bar shows how far it has come."""
        if not page.spans:
            return []
        bar = self._bars.bar("dgemma: proofreading", len(page.spans))

        def show(lines: int) -> None:
            bar.report(lines, f"{lines} of {len(page.spans)} lines")

        return await bar.run(session.proofread(page, _key(document), show))

    def _shown(self, uri: str) -> list[PlacedHint]:
        """Return the hints that the model is sure enough of, where they are now."""
        document = self._documents.get(uri)
        if document is None:
            return []
        least = self._preferences.of(document.path).proofread.confidence
        return [hint for hint in self._hints.current(document) if hint.confidence >= least]

    def _publish(self, uri: str) -> None:
        document = self._documents.get(uri)
        if document is None:
            return
        diagnostics = [to_lsp.diagnostic(document, hint) for hint in self._shown(uri)]
        self._publish_diagnostics(
            PublishDiagnosticsParams(document.uri, diagnostics, version=document.version)
        )


def _key(document: Snapshot) -> RequestKey:
    return RequestKey(Job.PROOFREADING, document.uri)


def _page(document: Snapshot, markers: tuple[str, ...]) -> ProofreadRequest:
    text = document.lf_text
    prose = prose_regions(SourceCode(text, document.language, markers))
    lines = lines_to_read(text, prose)
    return ProofreadRequest(text, _spans(prose), _spans(lines))


def _spans(regions: Iterable[Region]) -> tuple[tuple[int, int], ...]:
    return tuple((region.start, region.end) for region in regions)


def _texts(page: ProofreadRequest) -> set[str]:
    """Return the lines that were read."""
    return {page.text[start:end] for start, end in page.spans}


def _placed(document: Snapshot, hints: Iterable[Hint]) -> list[PlacedHint]:
    return [
        PlacedHint(
            document.version,
            document.from_lf(Region(hint.start, hint.end)),
            hint.replacement,
            hint.confidence,
        )
        for hint in hints
    ]
