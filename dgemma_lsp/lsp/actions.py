"""Edits as code actions: offered from the syntax at once, computed when the user takes one up.

An edit that is being computed survives typing elsewhere: its regions are followed from edit to edit, and only when the
text under one of them has changed it is dropped, with that reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lsprotocol import types as lsp

from dgemma_lsp.engines.base import EngineError
from dgemma_lsp.fill.pipeline import Candidate, Gate, Outcome
from dgemma_lsp.lsp import progress, to_lsp
from dgemma_lsp.lsp.documents import Snapshot
from dgemma_lsp.lsp.proofreading import quick_fixes
from dgemma_lsp.lsp.serving import Server, failure
from dgemma_lsp.lsp.session import Session, Superseded
from dgemma_lsp.lsp.status import State, Status, silent
from dgemma_lsp.lsp.to_lsp import Offer
from dgemma_lsp.settings.settings import LogLevel, Settings
from dgemma_lsp.text.masked import MaskedDocument, Region, RegionError
from dgemma_lsp.text.regions.actions import Action, frames, offered
from dgemma_lsp.text.regions.frame import Frame, framed
from dgemma_lsp.text.source_code import SourceCode
from dgemma_model.protocol import FillOptions

STALE = "The document has changed since the action was offered; select the text and ask again."
CHANGED = "The document has changed where the edit belongs, so it was dropped; ask again."

NO_INSTRUCTIONS = (
    "The model that is set up does not follow instructions; it was trained to fill in what is missing."
)

GENTLE = 0.3
"""The strength of a gentle rewrite."""

STRENGTHS: Mapping[Action, float] = MappingProxyType(
    {Action.REWRITE_GENTLY: GENTLE, Action.REWRITE_ANEW: 1.0}
)
"""Of rewrites, but for the one whose strength is a setting."""


PROOFREAD = "dgemma.proofread"
"""The command that reads a document."""


async def code_actions(ls: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    document = ls.documents.get(params.text_document.uri)
    if document is None or ls.session is None:
        return []
    if unwanted := ls.why_unwanted(document):
        ls.log(LogLevel.DEBUG, f"No code actions: {unwanted}")
        ls.tell(silent(unwanted))
        return []
    selected, only = document.region(params.range), params.context.only
    found = []
    if _wants(only, lsp.CodeActionKind.QuickFix.value):
        found += quick_fixes(ls, document, selected)
    if _wants(only, lsp.CodeActionKind.RefactorRewrite.value):
        found += await _rewrites(ls, document, selected)
    # It is long and useless in a menu of rewrites.
    if only is not None and _wants(only, to_lsp.PROOFREADS):
        found.append(to_lsp.command_action(document, "Proofread this file", PROOFREAD))
    return found


async def _rewrites(ls: Server, document: Snapshot, selected: Region) -> list[lsp.CodeAction]:
    if not to_lsp.resolves_edits(ls.client_capabilities):
        return []
    # Of a long document much may have to be parsed.
    actions = await asyncio.to_thread(offered, _code(ls, document), selected)
    found = [to_lsp.code_action(document, selected, action) for action in actions]
    if Action.REWRITE in actions and to_lsp.shows_disabled(ls.client_capabilities):
        found.append(to_lsp.disabled_action(Action.INSTRUCT, NO_INSTRUCTIONS))
    return found


def _code(ls: Server, document: Snapshot) -> SourceCode:
    return SourceCode(document.text, document.language, ls.preferences.of(document.path).markers)


def _wants(only: Any, kind: str) -> bool:
    return only is None or any(f"{kind}.".startswith(f"{getattr(one, 'value', one)}.") for one in only)


async def resolve_code_action(ls: Server, action: lsp.CodeAction) -> lsp.CodeAction:
    document, offer = _taken_up(ls, action)
    wanted = await asyncio.to_thread(frames, offer.action, _code(ls, document), offer.selected)
    if not wanted and Offer.from_data(action.data).version != document.version:
        raise failure(CHANGED)  # when it was offered there was something to be filled
    best = await _written(ls, document, offer.action, wanted, progress.draft_token(action.data))
    now, moved = _where_now(ls, document, wanted)
    action.edit = to_lsp.workspace_edit(
        now, moved, best.texts, ls.client_capabilities, offer.action.value, f"{best.confidence:.0%} sure"
    )
    return action


def _taken_up(ls: Server, action: lsp.CodeAction) -> tuple[Snapshot, Offer]:
    try:
        offer = Offer.from_data(action.data)
    except ValueError as error:
        raise failure(str(error)) from error
    if offer.action is Action.INSTRUCT:
        raise failure(NO_INSTRUCTIONS)
    document = ls.documents.get(offer.uri)
    selected = ls.documents.moved(offer.uri, offer.version, offer.selected)
    if document is None or selected is None:
        raise failure(STALE)
    if unwanted := ls.why_unwanted(document):
        raise failure(f"Nothing is done here: {unwanted}.")
    return document, offer.at(document.version, selected)


def _where_now(ls: Server, document: Snapshot, wanted: tuple[Frame, ...]) -> tuple[Snapshot, list[Frame]]:
    """The newest version of a document, and what is to be filled in it."""
    now = ls.documents.get(document.uri)
    moved: list[Frame] = []
    for frame in wanted:
        region = ls.documents.moved(document.uri, document.version, frame.region)
        # A document that was closed and opened again may count its versions anew.
        if now is None or region is None or _text(now, region) != _text(document, frame.region):
            raise failure(CHANGED)
        moved.append(Frame(region, frame.before, frame.after))
    assert now is not None, "there is at least one region"
    return now, moved


def _text(document: Snapshot, region: Region) -> str:
    return document.text[region.start : region.end]


async def _written(
    ls: Server, document: Snapshot, action: Action, wanted: tuple[Frame, ...], drafts: progress.Token | None
) -> Candidate:
    if ls.session is None:
        raise failure("The server is turned off by its setting enable.")
    settings = ls.preferences.of(document.path)
    text, regions = framed(document.text, wanted)
    ranges = [document.range(frame.region) for frame in wanted]
    bar = progress.Bar(ls, f"dgemma: {action.value}", settings.steps, drafts, ranges)
    try:
        masked = MaskedDocument(text, regions, document.path, document.language, markers=settings.markers)
        with ls.filling():
            outcome = await bar.run(_fill(ls.session, masked, action, settings, document.uri, bar))
    except RegionError as error:
        raise failure(str(error)) from error
    except Superseded as error:
        raise failure("Another rewrite of this document was asked for.") from error
    except EngineError as error:
        ls.tell(Status(State.ERROR, str(error)))
        raise failure(str(error)) from error
    if outcome.best is None:
        ls.tell(silent(outcome.candidates[0].reason))
        raise failure(f"Nothing better was found. {outcome.candidates[0].reason}")
    ls.tell(Status(State.READY))
    return outcome.best


async def _fill(
    session: Session, masked: MaskedDocument, action: Action, settings: Settings, uri: str, bar: progress.Bar
) -> Outcome:
    # Only of what the user has selected anything may be worth keeping.
    strength = settings.rewrite.strength if action is Action.REWRITE else STRENGTHS.get(action, 1.0)
    options = FillOptions(settings.steps, settings.seed, strength, settings.alternatives)
    return await session.fill(masked, options, Gate(), f"rewrite {uri}", on_draft=bar.show)
