"""The arrows from a masked document to fills that may be shown, in order; the CLI and the server share them.

    for draft in drafts(document, engine, options, cancelled):
        ...show it...
    best = outcome(document, draft, gate).best

Knows nothing of editors, files or terminals. The guarantee that only regions change is checked here, once, before
anything leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

from dgemma_lsp.engines.base import Cancelled, Engine, EngineError
from dgemma_lsp.fill.polish import polished
from dgemma_lsp.fill.rejection import Rejection
from dgemma_lsp.fill.syntax_errors import python_syntax_errors
from dgemma_lsp.text import languages
from dgemma_lsp.text.guarantee import apply_fills
from dgemma_lsp.text.line_breaks import in_document_newlines, to_lf
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_lsp.text.regions.single_line import stays_in_line
from dgemma_lsp.text.source_code import SourceCode
from dgemma_lsp.text.surroundings import surroundings
from dgemma_model.protocol import Draft, Fill, FillOptions, FillRequest

REACH_BEFORE = 60_000
"""Characters before the first region that an engine gets at least."""

REACH_BEHIND = 30_000
"""Characters behind it that an engine gets, or at least those between the regions."""

JUDGED = 5_000
"""Characters on each side of the regions that are parsed to judge a fill: a parse of both takes about a millisecond."""

_BLOCK = 16_384
_LEAST_BEHIND = 4_000


@dataclass(frozen=True, slots=True)
class Gate:
    """What a fill must pass to be shown.

    Attributes:
        min_confidence: 0..1; a candidate is rejected when the confidence of any of its fills is lower.
        parse: reject fills that bring syntax errors into a document (Python only; others always pass).
        encoding: a fill must be writable in it; latin-1 files cannot hold every character.
    """

    min_confidence: float = 0.0
    parse: bool = True
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence must be between 0 and 1, not {self.min_confidence}.")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One alternative after polishing: a text for each region, and whether it may be shown.

    Attributes:
        texts: [region], polished and in the document's own line endings; ready to replace the regions.
        confidences: [region], 0..1, as the engine gave them.
        rejection: why this alternative must not be shown; None when it may.
        reason: the rejection in one sentence for the user; "" when there is none.
    """

    texts: tuple[str, ...]
    confidences: tuple[float, ...]
    rejection: Rejection | None
    reason: str

    @property
    def confidence(self) -> float:
        """Of the least sure region: a candidate is as good as its worst fill."""
        return min(self.confidences)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a fill.

    Attributes:
        candidates: accepted ones first, otherwise in the engine's order (most confident first); never empty.
        steps: denoising steps taken.
        milliseconds: since the engine got the request.
        encoded_tokens: prompt tokens that had to be encoded (the rest came from the cache).
        prompt_tokens: length of the prompt.
    """

    candidates: tuple[Candidate, ...]
    steps: int
    milliseconds: float
    encoded_tokens: int
    prompt_tokens: int

    @property
    def best(self) -> Candidate | None:
        """The first accepted candidate; None when every one was rejected (then see ``candidates[0].reason``)."""
        first = self.candidates[0]
        return first if first.rejection is None else None


def drafts(
    document: MaskedDocument, engine: Engine, options: FillOptions, cancelled: Cancelled
) -> Iterator[Draft]:
    """Denoise the regions of ``document`` together; one draft for each step, the last one ``final``.

    The engine sees LF line endings only, whatever the document holds, and the texts in the drafts have them too:
    they are for showing. What may be put into the document comes from `outcome`.

    Raises:
        FillCancelled: ``cancelled`` answered True.
        EngineError: the fill is impossible, or the engine died, or answered something else than fills.
    """
    code = SourceCode(document.text, document.language, document.markers)
    in_line = stays_in_line(code, document.regions[0])
    request = _request(document, replace(options, single_line=in_line))
    final = False
    for draft in engine.drafts(request, cancelled):
        _check_shape(document, draft)
        final = draft.final
        yield draft
    if not final:
        raise EngineError("The engine stopped before the fill was finished.")


def _request(document: MaskedDocument, options: FillOptions) -> FillRequest:
    return FillRequest(
        tuple(map(to_lf, _in_reach(document.segments))),
        tuple(map(to_lf, document.present)),
        options,
        document.path,
        document.language,
        document.instruction,
        document.context,
    )


def _in_reach(segments: tuple[str, ...]) -> tuple[str, ...]:
    """The segments without what lies so far from the regions that no engine looks at it.

    The first one loses whole blocks, so that its beginning seldom moves while somebody types.
    """
    first, *between, last = segments
    surplus = max(0, len(first) - REACH_BEFORE) // _BLOCK * _BLOCK
    left = max(REACH_BEHIND - sum(map(len, between)), _LEAST_BEHIND)
    return (first[surplus:], *between, last[:left])


def _vicinity(document: MaskedDocument) -> MaskedDocument:
    """What is around the regions, as a document: all that is needed to judge a fill, however long the whole is."""
    focus = Region(document.regions[0].start, document.regions[-1].end)
    language = languages.find(document.language)
    code_starts = language.code_starts if language else ()
    *headers, body = surroundings(document.text, focus, code_starts, JUDGED)
    by = sum(part.end - part.start for part in headers) - body.start
    return replace(
        document,
        text="".join(part.of(document.text) for part in (*headers, body)),
        regions=tuple(region.shifted(by) for region in document.regions),
    )


def _check_shape(document: MaskedDocument, draft: Draft) -> None:
    wanted = len(document.regions)
    if not draft.alternatives or any(len(fills) != wanted for fills in draft.alternatives):
        raise EngineError(f"The engine answered without a fill for each of the {wanted} regions.")


def outcome(document: MaskedDocument, draft: Draft, gate: Gate) -> Outcome:
    """Polish every alternative of a draft, judge it, and prove that it changes nothing outside the regions.

    Pure and quick (a few parses of what is around the regions). The final draft is meant, but any draft is accepted,
    so that an editor may stop early.

    Raises:
        GuaranteeBroken: an accepted candidate would change text outside the regions; a bug, never to be caught
            in order to go on.
    """
    near = _vicinity(document)
    judge = _judge(near, gate)
    candidates = [_candidate(near, fills, judge) for fills in draft.alternatives]
    candidates = _without_repetition(candidates)
    for candidate in candidates:
        if candidate.rejection is None:
            apply_fills(document, candidate.texts)
    ranked = sorted(candidates, key=lambda candidate: candidate.rejection is not None)
    return Outcome(tuple(ranked), draft.step, draft.milliseconds, draft.encoded_tokens, draft.prompt_tokens)


_Verdict = tuple[Rejection, str]
_Judge = Callable[[tuple[Fill, ...], tuple[str, ...]], _Verdict | None]


def _candidate(document: MaskedDocument, fills: tuple[Fill, ...], judge: _Judge) -> Candidate:
    texts = _texts(document, fills)
    rejection, reason = judge(fills, texts) or (None, "")
    return Candidate(texts, tuple(fill.confidence for fill in fills), rejection, reason)


def _texts(document: MaskedDocument, fills: tuple[Fill, ...]) -> tuple[str, ...]:
    """Polished, each fill with those before it in view, and in the document's line endings."""
    # The end of the text ends its line too.
    first, *behind = [*map(to_lf, document.segments[:-1]), to_lf(document.segments[-1]) + "\n"]
    before, texts = first, []
    for index, (fill, present, after) in enumerate(zip(fills, document.present, behind, strict=True)):
        text = polished(fill.text, before, to_lf(present), after)
        before += text + after
        # Mixed line endings in the region are kept by a fill that changes nothing.
        kept = text == to_lf(present)
        texts.append(present if kept else in_document_newlines(text, document.text, document.regions[index]))
    return tuple(texts)


def _judge(document: MaskedDocument, gate: Gate) -> _Judge:
    """The gate for this document; what it has to know of the document is found out at most once."""
    parse = gate.parse and document.language == "python"

    @cache
    def tolerated() -> int:
        # A hole is an error of its own: what counts is whether some text makes it well, and of the code around it
        # how many errors stay then. A name can stand nearly everywhere. Where the code around is broken too, counting
        # is a rule of thumb: on the standard library with a bracket missing nearby it catches 87 of 100 fills with
        # an error, and rejects 9 of 100 good ones.
        stand_ins = [document.filled([text] * len(document.regions)) for text in ("", "_")]
        return min(map(python_syntax_errors, [document.text, *stand_ins]))

    def verdict(fills: tuple[Fill, ...], texts: tuple[str, ...]) -> _Verdict | None:
        return (
            _about_content(document, fills, texts)
            or _about_encoding(texts, gate.encoding)
            or _about_confidence(fills, gate.min_confidence)
            or (_about_syntax(document, texts, tolerated) if parse else None)
        )

    return verdict


def _about_content(
    document: MaskedDocument, fills: tuple[Fill, ...], texts: tuple[str, ...]
) -> _Verdict | None:
    if not all(fill.complete for fill in fills):
        return Rejection.INCOMPLETE, "The fill did not come to an end in its slots; try a smaller region."
    if texts == document.present and any(texts):
        return Rejection.UNCHANGED, "The fill is what stands there already."
    # In one of several regions nothing may well be the right text; in all of them it is no answer.
    if not any(text.strip() for text in texts):
        return Rejection.EMPTY, "The fill is empty."
    return None


def _about_encoding(texts: tuple[str, ...], encoding: str) -> _Verdict | None:
    with suppress(UnicodeEncodeError):
        if b"\0" not in "".join(texts).encode(encoding):
            return None
    return Rejection.UNENCODABLE, f"The fill has a character that cannot stand in {encoding} text."


def _about_confidence(fills: tuple[Fill, ...], wanted: float) -> _Verdict | None:
    least = min(fill.confidence for fill in fills)
    # Written so that a NaN is rejected too.
    if least >= wanted:
        return None
    return (
        Rejection.LOW_CONFIDENCE,
        f"The model is {least:.0%} sure of its fill, and {wanted:.0%} are asked for.",
    )


def _about_syntax(
    document: MaskedDocument, texts: tuple[str, ...], tolerated: Callable[[], int]
) -> _Verdict | None:
    errors = python_syntax_errors(document.filled(texts))
    # Good code is the usual case, and parsing is what takes time here.
    if errors == 0 or errors <= tolerated():
        return None
    return Rejection.UNPARSEABLE, "The fill would bring a syntax error into the file."


def _without_repetition(candidates: list[Candidate]) -> list[Candidate]:
    """Different noise often ends in the same text; to the user that is one alternative."""
    seen: set[tuple[str, ...]] = set()
    told = []
    for candidate in candidates:
        repeated = candidate.rejection is None and candidate.texts in seen
        told.append(_as_duplicate(candidate) if repeated else candidate)
        if candidate.rejection is None:
            seen.add(candidate.texts)
    return told


def _as_duplicate(candidate: Candidate) -> Candidate:
    reason = "The fill is the same as a better alternative."
    return replace(candidate, rejection=Rejection.DUPLICATE, reason=reason)
