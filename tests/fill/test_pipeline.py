import math
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from dgemma_lsp.engines.base import EngineError, FillCancelled
from dgemma_lsp.fill import pipeline
from dgemma_lsp.fill.pipeline import Gate, Outcome, outcome
from dgemma_lsp.fill.rejection import Rejection
from dgemma_lsp.text.guarantee import GuaranteeBroken
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_model.protocol import ContextPiece, Fill, FillOptions
from tests.fakes import FakeEngine, draft_of, masked


def never() -> bool:
    return False


def run(document: MaskedDocument, engine: FakeEngine, gate: Gate | None = None) -> Outcome:
    *_, last = pipeline.drafts(document, engine, FillOptions(), never)
    return outcome(document, last, gate or Gate())


def test_a_draft_for_each_step_and_the_last_is_final() -> None:
    found = list(pipeline.drafts(masked("a «b» c"), FakeEngine(steps=4), FillOptions(), never))
    assert [(draft.step, draft.final) for draft in found] == [(1, False), (2, False), (3, False), (4, True)]


def test_the_engine_sees_lf_only() -> None:
    engine = FakeEngine()
    run(masked("a\r\n«b\r»\rc«d\n»e\r\n"), FakeEngine([["x", "y"]]))
    list(pipeline.drafts(masked("a\r\n«b\r»\rc\r\n"), engine, FillOptions(), never))
    assert (engine.requests[0].segments, engine.requests[0].present) == (("a\n", "\nc\n"), ("b\n",))


def test_an_engine_is_told_what_is_known_of_the_document() -> None:
    engine, context = FakeEngine(), (ContextPiece("def other(): ...", "other.py"),)
    document = replace(masked("a «b» c", "lua", "here.lua", "be brief"), context=context)
    list(pipeline.drafts(document, engine, FillOptions(), never))
    (request,) = engine.requests
    assert (request.language, request.path, request.instruction) == ("lua", "here.lua", "be brief")
    assert request.context == context


def test_options_reach_the_engine() -> None:
    engine = FakeEngine()
    options = FillOptions(steps=2, seed=7, strength=0.5, alternatives=3)
    list(pipeline.drafts(masked("«»"), engine, options, never))
    list(pipeline.drafts(masked("«a\nb»"), engine, options, never))
    in_line, in_lines = (request.options for request in engine.requests)
    assert in_line == replace(options, single_line=True)
    assert in_lines == options


def test_fills_get_the_line_endings_of_their_surroundings() -> None:
    found = run(masked("a\r\n«b» c\nd\n«e»", language=None), FakeEngine([["x\ny", "z\nz"]]))
    assert found.best is not None
    assert found.best.texts == ("x\r\ny", "z\nz")


def test_a_fill_that_repeats_its_region_keeps_mixed_line_endings() -> None:
    found = run(masked("«a\r\nb\n» «c»"), FakeEngine([["a\nb\n", "x"]]))
    assert found.best is not None
    assert found.best.texts == ("a\r\nb\n", "x")


def test_a_fill_sees_the_fills_before_it() -> None:
    found = run(masked("f(«»; «»)\n", language=None), FakeEngine([["g(", "a))"]]))
    assert found.best is not None
    assert found.best.texts == ("g(", "a)")


def test_the_end_of_the_text_ends_its_line() -> None:
    assert best_texts("«»\ny = 2", ["x = 1 \ny = 2"]) == ("x = 1",)
    assert best_texts("x = «»", ["1  "]) == ("1",)
    assert best_texts("x«  »«»", [" = ", "1 "]) == (" = ", "1")


def best_texts(marked: str, fills: list[str]) -> tuple[str, ...]:
    best = outcome(masked(marked), draft_of(fills), Gate()).best
    assert best is not None
    return best.texts


def test_numbers_are_carried_over() -> None:
    found = outcome(masked("«»"), draft_of(["x"]), Gate())
    assert (found.steps, found.milliseconds, found.encoded_tokens, found.prompt_tokens) == (4, 12.5, 7, 11)


def test_the_worst_fill_is_the_confidence_of_a_candidate() -> None:
    found = outcome(masked("a = «»\nb = «»"), draft_of([Fill("1", 0.9), Fill("2", 0.3)]), Gate())
    assert found.best is not None
    assert (found.best.confidence, found.best.confidences) == (0.3, (0.9, 0.3))


REJECTED = [
    ("no end was found", "x = «»\n", [Fill("1", 0.9, complete=False)], Rejection.INCOMPLETE),
    (
        "one of two has no end",
        "x = «»; y = «»\n",
        [Fill("1", 0.9, complete=False), "2"],
        Rejection.INCOMPLETE,
    ),
    ("there is nothing", "x = 1«»\n", [""], Rejection.EMPTY),
    ("there is nothing but blanks", "x = 1«»\ny\n", [" \n "], Rejection.EMPTY),
    ("the region would be deleted", "x = 1«  # one»\n", [""], Rejection.EMPTY),
    ("it only repeats what follows", "«»y = 2\n", ["y = 2\n"], Rejection.EMPTY),
    ("it is there already", "x = «1»\n", ["1"], Rejection.UNCHANGED),
    ("all of them are there already", "x = «1» + «2»\n", ["1", "2"], Rejection.UNCHANGED),
    ("it is there already, in other line endings", "«a = 1\r\n»\r\n", ["a = 1\n"], Rejection.UNCHANGED),
    ("a lone surrogate is no character", "x = «»\n", ["'\ud800'"], Rejection.UNENCODABLE),
    ("a NUL is not text", "x = «»\n", ["'\0'"], Rejection.UNENCODABLE),
    (
        "one of two is not sure enough",
        "x = «» + «»\n",
        [Fill("1", 0.9), Fill("2", 0.4)],
        Rejection.LOW_CONFIDENCE,
    ),
    ("its confidence is no number", "x = «»\n", [Fill("1", math.nan)], Rejection.LOW_CONFIDENCE),
    ("it breaks the syntax", "x = «1»\n", ["("], Rejection.UNPARSEABLE),
    ("it breaks the syntax of a hole that something must fill", "x = «»\n", ["("], Rejection.UNPARSEABLE),
    ("it breaks the syntax of a hole that may be empty", "f(«»)\n", ["a b c"], Rejection.UNPARSEABLE),
    (
        "it adds an error to code that has one",
        "def f(:\n    pass\n\nx = «1»\n",
        ["(]"],
        Rejection.UNPARSEABLE,
    ),
    (
        "cutting the region out would mend it, the fill does not",
        "x = 1\n«y = = 2»\n",
        ["y = )"],
        Rejection.UNPARSEABLE,
    ),
]


@pytest.mark.parametrize(
    ("marked", "fills", "why"), [case[1:] for case in REJECTED], ids=[case[0] for case in REJECTED]
)
def test_rejects_because(marked: str, fills: list[str | Fill], why: Rejection) -> None:
    found = outcome(masked(marked), draft_of(fills), Gate(min_confidence=0.5))
    assert found.best is None
    assert found.candidates[0].rejection is why
    assert found.candidates[0].reason.endswith(".")


ACCEPTED = [
    ("a hole is filled", "x = «»\n", ["1"]),
    ("one of two regions may become empty", "f(«a, »«b»)\n", ["", "c"]),
    ("one of two regions may stay", "f(«a», «b»)\n", ["a", "c"]),
    ("the syntax was broken before, elsewhere", "def f(:\n    pass\n\nx = «1»\n", ["2"]),
    ("the syntax was broken before, and is mended", "x = «= 1»\n", ["1"]),
    ("the confidence is just enough", "x = «»\n", [Fill("1", 0.5)]),
]


@pytest.mark.parametrize(
    ("marked", "fills"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED]
)
def test_accepts_when(marked: str, fills: list[str | Fill]) -> None:
    found = outcome(masked(marked), draft_of(fills), Gate(min_confidence=0.5))
    assert (found.candidates[0].rejection, found.candidates[0].reason) == (None, "")


def test_other_languages_are_not_parsed() -> None:
    assert outcome(masked("x = «1»;\n", language="c"), draft_of(["a b"]), Gate()).best


def test_the_parse_gate_can_be_opened() -> None:
    assert outcome(masked("x = «1»\n"), draft_of(["("]), Gate(parse=False)).best


def test_a_narrow_encoding_narrows_the_gate() -> None:
    assert outcome(masked("x = «1»\n"), draft_of(["'é'"]), Gate(encoding="iso8859-1")).best
    found = outcome(masked("x = «1»\n"), draft_of(["'€'"]), Gate(encoding="iso8859-1"))
    assert found.candidates[0].rejection is Rejection.UNENCODABLE


def test_accepted_alternatives_come_first_in_the_engines_order() -> None:
    found = outcome(masked("x = «»\n"), draft_of(["("], ["2"], [""], ["1"]), Gate())
    assert [candidate.texts[0] for candidate in found.candidates] == ["2", "1", "(", ""]


def test_the_same_text_twice_is_one_alternative() -> None:
    found = outcome(masked("f(«»)\n"), draft_of(["a"], ["a)"], ["b"]), Gate())
    assert [candidate.texts[0] for candidate in found.candidates] == ["a", "b", "a"]
    assert found.candidates[-1].rejection is Rejection.DUPLICATE


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan])
def test_a_gate_asks_for_a_confidence_between_0_and_1(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Gate(min_confidence=confidence)


@pytest.mark.parametrize("fills", [[], [["x"]], [["x", "y"], ["x", "y", "z"]]])
def test_an_answer_of_another_shape_is_the_engines_fault(fills: list[list[str]]) -> None:
    with pytest.raises(EngineError, match="a fill for each of the 2 regions"):
        list(pipeline.drafts(masked("«» «»"), FakeEngine(fills), FillOptions(), never))


def test_an_engine_that_stops_early_has_failed() -> None:
    with pytest.raises(EngineError, match="stopped before"):
        list(pipeline.drafts(masked("«»"), FakeEngine(steps=0), FillOptions(), never))


def test_cancelling_ends_the_drafts() -> None:
    answers = iter([False, False, True])
    found = pipeline.drafts(masked("«»"), FakeEngine(), FillOptions(), lambda: next(answers))
    assert [next(found).step, next(found).step] == [1, 2]
    with pytest.raises(FillCancelled):
        next(found)


def test_a_broken_guarantee_is_never_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MaskedDocument, "filled", lambda self, fills: self.text + "!")
    with pytest.raises(GuaranteeBroken):
        outcome(masked("a «b» c", language=None), draft_of(["x"]), Gate())


# Long documents


LONG = (Path(__file__).parents[2] / "fixtures" / "three_hundred_lines.py").read_text("utf-8")


def places_in(text: str, count: int) -> list[MaskedDocument]:
    """Ends of lines to be filled, the rest of each taken away."""
    rng = random.Random(0)
    found = []
    for line in rng.sample(list(re.finditer(r"[^\n]+", text)), count):
        cut = rng.randrange(line.start(), line.end()) + 1
        shorter = text[:cut] + text[line.end() :]
        found.append(MaskedDocument(shorter, (Region(cut, cut),), "/a.py", "python"))
    return found


def test_a_fill_is_judged_by_what_is_around_it_as_it_would_be_by_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = LONG * 3
    documents = places_in(text, 60)
    draft = draft_of(["value"], [")"], ["(x):"], [" = 1\n    y = (2"], ["and self.items)"])
    near = [outcome(document, draft, Gate()) for document in documents]
    monkeypatch.setattr(pipeline, "JUDGED", len(text))
    whole = [outcome(document, draft, Gate()) for document in documents]
    assert near == whole


def test_what_is_out_of_reach_is_not_sent_and_what_is_sent_seldom_begins_elsewhere() -> None:
    engine = FakeEngine()
    text = LONG * 20
    firsts = set()
    for cut in range(180_000, 184_000, 500):
        document = MaskedDocument(text, (Region(cut, cut),), "/a.py", "python")
        list(pipeline.drafts(document, engine, FillOptions(), never))
        before, behind = engine.requests[-1].segments
        assert text[:cut].endswith(before)
        assert text[cut:].startswith(behind)
        assert pipeline.REACH_BEFORE <= len(before) < pipeline.REACH_BEFORE + 2**14
        assert len(behind) == pipeline.REACH_BEHIND
        firsts.add(cut - len(before))
    assert len(firsts) <= 2


def test_a_short_document_is_sent_as_a_whole() -> None:
    engine = FakeEngine([["x", "y"]])
    list(pipeline.drafts(masked("a" * 1000 + "«»" + "b" * 1000 + "«»c"), engine, FillOptions(), never))
    assert engine.requests[0].segments == ("a" * 1000, "b" * 1000, "c")
