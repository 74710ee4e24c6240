"""How good answers to the same cases are: those of a checkpoint, and those that it must beat."""

from __future__ import annotations

import difflib
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dgemma_model.fill.filler import Filler
from dgemma_model.protocol import ContextPiece, Draft, FillOptions, FillRequest
from dgemma_model.train.evaluate.cases import Answer, Case, Kind, Syntax

MODEL = "model"
"""The checkpoint's name among those that answer."""


@dataclass(frozen=True, slots=True)
class Score:
    """How good the answers to the cases of one kind are.

    Attributes:
        regions: how many there are; exact, similarity and length_error are means over them.
        exact: the share of regions that are right, apart from white space at the end.
        similarity: difflib's ratio of answer and truth.
        parses: the share of cases after which the file has no more syntax errors than the original.
        length_error: by how many characters answers are too long or too short.
        milliseconds: the median over the cases.
        steps: the mean number of denoising steps over the cases; 0 for what does not denoise.
    """

    regions: int
    exact: float
    similarity: float
    parses: float
    length_error: float
    milliseconds: float
    steps: float = 0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """One case of the checkpoint: its confidence in each region, and which of them it got right."""

    package: str
    confidences: tuple[float, ...]
    right: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """The cases of one kind: the score of everybody by name, and the checkpoint's cases one by one."""

    kind: Kind
    scores: Mapping[str, Score]
    cases: Sequence[Judged]


def last_draft(filler: Filler, case: Case, options: FillOptions, context: Sequence[str] = ()) -> Draft:
    """Fill the regions of a case as an editor would ask for them, and return the last draft."""
    options = replace(options, single_line=case.kind.single_line)
    pieces = tuple(map(ContextPiece, context))
    request = FillRequest(case.masked.segments, case.masked.present, options, context=pieces)
    *_, draft = filler.drafts(request, lambda: False)
    return draft


def measure(
    filler: Filler,
    options: FillOptions,
    others: Mapping[str, Answer],
    kind: Kind,
    cases: Sequence[Case],
) -> Measured:
    """Put the same cases of one kind to the checkpoint and to the others, and score all answers."""
    errors = [Syntax(case.text).errors() for case in cases]
    scores = {name: _score(cases, errors, *_timed(answer, cases)) for name, answer in others.items()}
    model = _Model(filler, options)
    answers, milliseconds = _timed(model, cases)
    steps = statistics.fmean(draft.step for draft in model.drafts)
    scores[MODEL] = _score(cases, errors, answers, milliseconds, steps)
    return Measured(kind, scores, _judged(cases, model.drafts))


def judge(filler: Filler, options: FillOptions, cases: Sequence[Case]) -> list[Judged]:
    """Put cases to the checkpoint, and return how sure it was and when it was right."""
    return _judged(cases, [last_draft(filler, case, options) for case in cases])


class _Model:
    """Answers by the checkpoint; keeps the drafts that the answers come from."""

    def __init__(self, filler: Filler, options: FillOptions) -> None:
        self._filler, self._options = filler, options
        self.drafts: list[Draft] = []

    def __call__(self, case: Case) -> Sequence[str]:
        self.drafts.append(last_draft(self._filler, case, self._options))
        return [fill.text for fill in self.drafts[-1].alternatives[0]]


def _timed(answer: Answer, cases: Sequence[Case]) -> tuple[list[Sequence[str]], list[float]]:
    """Return the answers to all cases, and the milliseconds that each took."""
    answers, milliseconds = [], []
    for case in cases:
        begun = time.perf_counter()
        answers.append(answer(case))
        milliseconds.append(1000 * (time.perf_counter() - begun))
    return answers, milliseconds


def _score(
    cases: Sequence[Case],
    errors: Sequence[int],
    answers: Sequence[Sequence[str]],
    milliseconds: Sequence[float],
    steps: float = 0.0,
) -> Score:
    pairs = [pair for case, fills in zip(cases, answers, strict=True) for pair in case.pairs(fills)]
    parsed = [
        Syntax(case.filled(fills)).errors() <= before
        for case, fills, before in zip(cases, answers, errors, strict=True)
    ]
    return Score(
        regions=len(pairs),
        exact=round(statistics.fmean(truth == answer for truth, answer in pairs), 4),
        similarity=round(statistics.fmean(_similarity(truth, answer) for truth, answer in pairs), 4),
        parses=round(statistics.fmean(parsed), 4),
        length_error=round(statistics.fmean(abs(len(answer) - len(truth)) for truth, answer in pairs), 2),
        milliseconds=round(statistics.median(milliseconds), 2),
        steps=round(steps, 2),
    )


def _similarity(truth: str, answer: str) -> float:
    return difflib.SequenceMatcher(None, truth, answer, autojunk=False).ratio()


def _judged(cases: Sequence[Case], drafts: Sequence[Draft]) -> list[Judged]:
    found = []
    for case, draft in zip(cases, drafts, strict=True):
        fills = draft.alternatives[0]
        confidences = tuple(fill.confidence for fill in fills)
        found.append(Judged(case.package, confidences, case.right([fill.text for fill in fills])))
    return found
