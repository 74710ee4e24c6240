"""Proofreading: hints at what surprises the model, each with a quick fix that replaces one word or sign.

Who asks gets the whole document read; on saving, where the setting ``proofread.onSave`` is on, only lines that were not
read before. A hint follows the text around it, and goes when its own text is edited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from lsprotocol import types as lsp

from dgemma_lsp.engines.base import EngineError
from dgemma_lsp.lsp import progress, to_lsp
from dgemma_lsp.lsp.documents import Snapshot
from dgemma_lsp.lsp.serving import Server, failure
from dgemma_lsp.lsp.session import Session, Superseded
from dgemma_lsp.lsp.status import State, Status, silent
from dgemma_lsp.lsp.suggestions import Noted
from dgemma_lsp.settings.settings import LogLevel
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.proofreading import lines_to_read, prose_regions
from dgemma_lsp.text.source_code import SourceCode
from dgemma_model.protocol import Hint, ProofreadRequest

MOST_LINES = 1000
"""That are read when the user asks: half a minute of work."""

MOST_LINES_ON_SAVE = 100


async def proofread(ls: Server, uri: str) -> int:
    """A command of the user's: read a document; returns how many hints there are."""
    document = ls.documents.get(uri)
    if document is None:
        raise failure("The document is not open.")
    if unwanted := ls.why_unwanted(document):
        ls.tell(silent(unwanted))
        raise failure(f"Nothing is read here: {unwanted}.")
    if ls.session is None:
        raise failure("The server is turned off by its setting enable.")
    page = await asyncio.to_thread(_page, document, ls.preferences.of(document.path).markers)
    lines = page.spans[:MOST_LINES]
    try:
        found = await _read(ls, ls.session, document, replace(page, spans=lines), with_bar=True)
    except Superseded as error:
        raise failure("The document is being proofread again.") from error
    except EngineError as error:
        ls.tell(Status(State.ERROR, str(error)))
        raise failure(str(error)) from error
    ls.read_lines[document.uri] = _texts(page, lines)
    ls.hints[document.uri] = _noted(document, found)
    _publish(ls, document.uri)
    ls.log(LogLevel.INFO, f"Proofread {len(lines)} lines; {len(ls.hints[document.uri])} hints.")
    return len(_shown(ls, document.uri))


async def did_save(ls: Server, params: lsp.DidSaveTextDocumentParams) -> None:
    document = ls.documents.get(params.text_document.uri)
    if document is None or ls.session is None or not ls.preferences.of(document.path).proofread.on_save:
        return
    if ls.why_unwanted(document):
        return
    page = await asyncio.to_thread(_page, document, ls.preferences.of(document.path).markers)
    known = ls.read_lines.setdefault(document.uri, set())
    lines = [span for span in page.spans if page.text[span[0] : span[1]] not in known][:MOST_LINES_ON_SAVE]
    if not lines:
        return
    try:
        found = await _read(ls, ls.session, document, replace(page, spans=tuple(lines)), with_bar=False)
    except (Superseded, EngineError) as error:
        ls.log(LogLevel.DEBUG, "The lines that were saved were not proofread.", source=str(error))
        return
    known |= _texts(page, lines)
    again = [Region(*span) for span in lines]
    kept = [
        one
        for one in ls.hints.get(document.uri, ())
        if (now := ls.documents.moved(document.uri, one.version, one.region))
        and not any(line.start <= now.start < line.end for line in again)
    ]
    ls.hints[document.uri] = [*kept, *_noted(document, found)]
    _publish(ls, document.uri)


async def _read(
    ls: Server, session: Session, document: Snapshot, page: ProofreadRequest, with_bar: bool
) -> list[Hint]:
    if not page.spans:
        return []
    bar = progress.Bar(ls, "dgemma: proofreading", len(page.spans))

    def show(lines: int) -> None:
        bar.report(lines, f"{lines} of {len(page.spans)} lines")

    work = session.proofread(page, f"proofread {document.uri}", show)
    return await bar.run(work) if with_bar else await work


def _page(document: Snapshot, markers: tuple[str, ...]) -> ProofreadRequest:
    text = document.lf_text
    prose = prose_regions(SourceCode(text, document.language, markers))
    lines = lines_to_read(text, prose)
    return ProofreadRequest(
        text, tuple((one.start, one.end) for one in prose), tuple((one.start, one.end) for one in lines)
    )


def _texts(page: ProofreadRequest, lines: Iterable[tuple[int, int]]) -> set[str]:
    return {page.text[start:end] for start, end in lines}


def _noted(document: Snapshot, found: list[Hint]) -> list[Noted]:
    return [
        Noted(document.version, document.from_lf(Region(one.start, one.end)), one.replacement, one.confidence)
        for one in found
    ]


# Showing


def _shown(ls: Server, uri: str) -> list[Noted]:
    """The hints whose text is as it was, at their present places, that the model is sure enough of."""
    document = ls.documents.get(uri)
    if document is None:
        return []
    least = ls.preferences.of(document.path).proofread.confidence
    found = []
    for one in ls.hints.get(document.uri, ()):
        region = ls.documents.moved(uri, one.version, one.region)
        if region is not None and one.confidence >= least:
            found.append(replace(one, version=document.version, region=region))
    return found


def _publish(ls: Server, uri: str) -> None:
    document = ls.documents.get(uri)
    if document is None:
        return
    shown = [to_lsp.diagnostic(document, one) for one in _shown(ls, uri)]
    ls.text_document_publish_diagnostics(
        lsp.PublishDiagnosticsParams(document.uri, shown, version=document.version)
    )


def follow(ls: Server, uri: str) -> None:
    """A document has changed: hints whose own text was edited are taken away."""
    document = ls.documents.get(uri)
    if document is None or not (before := ls.hints.get(document.uri)):
        return
    moved = [(one, ls.documents.moved(uri, one.version, one.region)) for one in before]
    ls.hints[document.uri] = [
        replace(one, version=document.version, region=region) for one, region in moved if region is not None
    ]
    # The others move with the text in every editor.
    if len(ls.hints[document.uri]) < len(before):
        _publish(ls, uri)


def forget(ls: Server, document: Snapshot) -> None:
    """A document is being closed."""
    ls.read_lines.pop(document.uri, None)
    if ls.hints.pop(document.uri, None):
        ls.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(document.uri, []))


def publish_all(ls: Server) -> None:
    """The settings have changed: other hints may be sure enough."""
    for uri in list(ls.hints):
        document = ls.documents.get(uri)
        if document is not None and ls.why_unwanted(document):
            ls.hints[uri] = []
        _publish(ls, uri)


# Mending


def quick_fixes(ls: Server, document: Snapshot, selected: Region) -> list[lsp.CodeAction]:
    """The fixes of the hints that a selection touches."""
    return [
        to_lsp.quick_fix(document, one, ls.client_capabilities)
        for one in _shown(ls, document.uri)
        if one.region.start <= selected.end and selected.start <= one.region.end
    ]
