"""Inline completion: what may come next at the cursor, while the user types and when they ask."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from lsprotocol import types as lsp

from dgemma_lsp.engines.base import EngineError
from dgemma_lsp.fill.pipeline import Candidate, Gate, Outcome
from dgemma_lsp.fill.rejection import Rejection
from dgemma_lsp.lsp import to_lsp
from dgemma_lsp.lsp.documents import Snapshot
from dgemma_lsp.lsp.serving import Accepted, Answer, Server, Wish
from dgemma_lsp.lsp.session import Session, Superseded, Urgency
from dgemma_lsp.lsp.status import Reason, State, Status, silent
from dgemma_lsp.lsp.suggestions import Rest, Suggestion
from dgemma_lsp.lsp.to_lsp import Spot
from dgemma_lsp.settings.settings import LogLevel, Settings
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_lsp.text.regions.selection import Silence, completion_region
from dgemma_model.protocol import ContextPiece, FillOptions

MOST_TABS = 8
"""Other documents that are looked at: those that were edited or opened last."""

KEPT_SECONDS = 30.0
"""After so long it is looked how much of an accepted completion still stands."""

READ_ONLY_SCHEMES = frozenset({"git", "gitfs", "output", "vscode-scm", "walkThroughSnippet"})
"""Of documents that an editor shows only."""

_NEIGHBOURHOOD = 1000
_SHORTEST_KEPT = 3
_BETWEEN_CELLS = "\n\n"
_WRITABLE_BITS = 0o222


async def inline_completion(ls: Server, params: lsp.InlineCompletionParams) -> lsp.InlineCompletionList:
    document = ls.documents.get(params.text_document.uri)
    if document is None or ls.session is None:
        reason = Reason.NOT_OPEN if document is None else Reason.TURNED_OFF
        return _nothing(ls, silent(reason.value))
    asked = params.context.trigger_kind is lsp.InlineCompletionTriggerKind.Invoked
    if unwanted := ls.why_unwanted(document) or _why_annoying(ls, document, asked):
        return _nothing(ls, silent(unwanted))
    spot = Spot.of(document, params.position, params.context.selected_completion_info)
    answer = await _answer(ls, document, spot, asked)
    if isinstance(answer, Status):
        return _nothing(ls, answer)
    if not ls.documents.is_current(document):
        return _nothing(ls, silent(Reason.CHANGED.value))
    ls.tell(Status(State.READY))
    shown = answer[: ls.preferences.of(document.path).alternatives if asked else 1]
    _count_shown(ls, shown)
    return lsp.InlineCompletionList(to_lsp.inline_items(spot, shown))


def _why_annoying(ls: Server, document: Snapshot, asked: bool) -> str:
    """Why a completion could only annoy; "" where it could help."""
    if _is_read_only(ls, document):
        return Reason.READ_ONLY.value
    # Who asks may have something in mind.
    return Reason.SELECTION.value if not asked and document.uri in ls.selecting else ""


def _is_read_only(ls: Server, document: Snapshot) -> bool:
    if document.uri in ls.read_only or urlsplit(document.uri).scheme in READ_ONLY_SCHEMES:
        return True
    try:
        return document.path is not None and not Path(document.path).stat().st_mode & _WRITABLE_BITS
    except OSError:  # it is not there yet
        return False


def editor_state(ls: Server, params: object) -> None:
    """What an editor tells of a document that the protocol has no word for: {"uri", "selecting", "readOnly"}."""
    uri = getattr(params, "uri", None)
    document = ls.documents.get(uri) if isinstance(uri, str) else None
    if document is None:
        return
    for kept, name in ((ls.selecting, "selecting"), (ls.read_only, "readOnly")):
        if getattr(params, name, None) is True:
            kept.add(document.uri)
        elif getattr(params, name, None) is False:
            kept.discard(document.uri)


async def _answer(ls: Server, document: Snapshot, spot: Spot, asked: bool) -> Answer:
    if known := ls.suggestions.rests(document.uri, spot.text, spot.cursor, asked):
        return known
    wish = Wish(document.uri, spot.text, spot.cursor)
    with ls.filling():
        if ls.ahead is not None and ls.ahead[0] == wish and not asked:
            return await asyncio.shield(ls.ahead[1])
        return await _suggested(ls, document, wish, Urgency.ASKED if asked else Urgency.AUTOMATIC)


async def accepted(ls: Server, uri: str, number: int, choice: int) -> None:
    """The user has taken over an item: what may come next is found out while they look at it."""
    document = ls.documents.get(uri)
    result = ls.suggestions.result(uri, number, choice)
    if document is None or result is None:
        return
    text = ls.suggestions.text(uri, number, choice)
    if ls.settings.counters:
        ls.counters.counts.accepted += 1
        ls.counters.counts.accepted_characters += len(text)
        taken = Accepted(document.uri, text, Region(result[1] - len(text), result[1]))
        ls.accepted.append(taken)
        asyncio.get_running_loop().call_later(KEPT_SECONDS, _count_kept, ls, taken)
    if ls.why_unwanted(document):
        return
    # The document need not have been changed yet: some editors say first that the item is taken over.
    wish = Wish(document.uri, *result)
    if not ls.suggestions.rests(wish.uri, wish.text, wish.cursor, asked=False):
        ls.ahead = wish, asyncio.create_task(_find_out(ls, document, wish))


def _count_shown(ls: Server, shown: list[Rest]) -> None:
    if ls.settings.counters and shown and ls.suggestions.is_new(shown[0].number):
        ls.counters.counts.shown += 1
        ls.counters.counts.shown_characters += len(shown[0].text)


def _count_kept(ls: Server, taken: Accepted) -> None:
    """Count how much of an accepted text still stands near its place, unless that was done."""
    if taken not in ls.accepted:
        return
    ls.accepted.remove(taken)
    if (document := ls.documents.get(taken.uri)) is not None:
        start, end = taken.place.start - _NEIGHBOURHOOD, taken.place.end + _NEIGHBOURHOOD
        near = document.text[max(0, start) : end]
        blocks = SequenceMatcher(None, taken.text, near, autojunk=False).get_matching_blocks()
        ls.counters.counts.kept_characters += sum(
            block.size for block in blocks if block.size >= min(_SHORTEST_KEPT, len(taken.text))
        )
    ls.counters.save()


async def _find_out(ls: Server, document: Snapshot, wish: Wish) -> Answer:
    answer = await _suggested(ls, document, wish, Urgency.AHEAD)
    # That the model has nothing to say is worth knowing; that it was not or could not be asked is not.
    in_vain = isinstance(answer, Status) and (
        answer.state is State.ERROR or answer.message == Reason.NEWER.value
    )
    if in_vain and ls.ahead is not None and ls.ahead[0] is wish:
        ls.ahead = None
    return answer


async def _suggested(ls: Server, document: Snapshot, wish: Wish, urgency: Urgency) -> Answer:
    """Ask the model, and remember what it says."""
    if ls.session is None:
        return silent(Reason.TURNED_OFF.value)
    region = completion_region(wish.text, wish.cursor)
    if isinstance(region, Silence):
        return silent(region.value)
    masked = _in_its_notebook(ls, document, wish.text, region)
    suggestions, asked = ls.suggestions, urgency is Urgency.ASKED
    try:
        masked = replace(masked, context=_elsewhere(ls, document, wish))
        outcome = await _complete(ls.session, ls.preferences.of(document.path), masked, document.uri, urgency)
    except Superseded:
        return silent(Reason.NEWER.value)
    except EngineError as error:
        ls.show_once(lsp.MessageType.Error, str(error))
        return Status(State.ERROR, str(error))
    candidates = [one for one in outcome.candidates if _may_be_shown(one, asked)]
    if not candidates:
        return silent(outcome.candidates[0].reason)
    texts = dict.fromkeys(text for one in candidates for text in one.texts)
    ls.log(LogLevel.DEBUG, _summary(outcome), source=f"It says {list(texts)}.")
    return suggestions.remember(document.uri, Suggestion(wish.text, region.start, tuple(texts), asked))


def _in_its_notebook(ls: Server, document: Snapshot, text: str, region: Region) -> MaskedDocument:
    """The masked document; for a cell, with the cells around it."""
    before, behind = (
        [cell.text for cell in cells if not ls.why_unwanted(cell)]
        for cells in ls.documents.around(document.uri)
    )
    head = "".join(cell + _BETWEEN_CELLS for cell in before)
    tail = "".join(_BETWEEN_CELLS + cell for cell in behind)
    return MaskedDocument(head + text + tail, (region.shifted(len(head)),), document.path, document.language)


def _elsewhere(ls: Server, document: Snapshot, wish: Wish) -> tuple[ContextPiece, ...]:
    """What other open documents say of the place; nothing of those that are left alone."""
    if not ls.preferences.of(document.path).context:
        return ()
    others = (
        one
        for one in ls.documents
        if one.uri != document.uri and one.language == document.language and not ls.why_unwanted(one)
    )
    texts = [one.lf_text for one in islice(others, MOST_TABS)]
    return tuple(map(ContextPiece, ls.context.gather(wish.text, wish.cursor, texts)))


async def _complete(
    session: Session, settings: Settings, document: MaskedDocument, uri: str, urgency: Urgency
) -> Outcome:
    asked = urgency is Urgency.ASKED
    options = FillOptions(
        steps=settings.steps,
        seed=settings.seed,
        alternatives=settings.alternatives if asked else 1,
    )
    # Who asks gets what there is; who is typing must not be disturbed by guesses.
    gate = Gate(0.0 if asked else settings.automatic.min_confidence)
    return await session.fill(document, options, gate, f"completion {uri}", urgency)


def _may_be_shown(candidate: Candidate, asked: bool) -> bool:
    # While a line is being written, the right continuation may not parse yet: who asks sees it, behind those that do.
    return candidate.rejection is None or (asked and candidate.rejection is Rejection.UNPARSEABLE)


def _summary(outcome: Outcome) -> str:
    return (
        f"Completed in {outcome.steps} steps and {outcome.milliseconds:.0f} ms; "
        f"{outcome.encoded_tokens} of {outcome.prompt_tokens} prompt tokens encoded."
    )


def _nothing(ls: Server, why: Status) -> lsp.InlineCompletionList:
    ls.log(LogLevel.DEBUG, f"No completion: {why.message}")
    ls.tell(why)
    return lsp.InlineCompletionList([])


def forget(ls: Server, document: Snapshot) -> None:
    """A document is being closed."""
    for taken in [one for one in ls.accepted if one.uri == document.uri]:
        _count_kept(ls, taken)
    ls.suggestions.forget(document.uri)
    ls.selecting.discard(document.uri)
    ls.read_only.discard(document.uri)
