"""Proofreading with a network that knows nothing: the document itself tells what should stand there."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from dgemma_model.errors import Cancelled
from dgemma_model.fill.facts import Fact, Kind, weigh
from dgemma_model.fill.fitted import Fitted
from dgemma_model.fill.proofread import Doubt, Page
from dgemma_model.protocol import ProofreadRequest
from dgemma_model.train.evaluate.proofreading import measure, report
from dgemma_model.train.fit.mistakes import Mistake, Window, quiet_parts, spans, window
from dgemma_model.train.fit.proofread import fit
from tests.model.tiny import CHECKPOINT, infiller

LINE = "result = compute(first, second, third)\n"
TEXT = LINE * 12 + "result = compute(first, other, third)\n" + LINE * 12 + "other = 1\n"


def span(text: str, part: str) -> tuple[int, int]:
    start = text.rfind("\n", 0, text.index(part)) + 1
    return start, text.index("\n", start)


def doubts(page: Page, where: tuple[int, int]) -> list[Doubt]:
    return list(infiller().proofreader.doubts(page, page.words(), *where))


def test_what_the_document_says_everywhere_else_is_proposed() -> None:
    where = span(TEXT, "other, third")
    found = [(TEXT[start:end], other, facts) for start, end, other, facts in doubts(Page(TEXT), where)]
    meant = [one for one in found if one[0] == "other"]
    _, other, facts = max(meant, key=lambda one: one[2]["surprise"] + one[2]["from behind"])
    assert other == "second"
    assert facts["elsewhere"] > 0
    assert facts["other elsewhere"] > facts["elsewhere"]
    weights = Fitted.of_checkpoint(CHECKPOINT).proofreading
    assert weights is not None
    assert set(weights) <= set(facts)


def test_what_the_document_says_everywhere_is_not_proposed_for_itself() -> None:
    found = doubts(Page(TEXT), (len(LINE) * 5, len(LINE) * 6 - 1))
    assert all(facts["surprise"] + facts["from behind"] < 8 for *_, facts in found)


def test_nothing_is_looked_for_where_it_is_quiet() -> None:
    where = span(TEXT, "other, third")
    assert doubts(Page(TEXT, [where]), where) == []


@pytest.mark.parametrize("line", ["", "é = 'é😋'", "x" * 3000, "\t", "((((", "# ⟨fill⟩"])
def test_any_line_can_be_read(line: str) -> None:
    text = f"a = 1\n{line}\nb = 2\n"
    request = ProofreadRequest(text, (), ((6, 6 + len(line)),))
    assert len(list(infiller().hints(request, lambda: False))) == 1


def test_reading_stops_before_a_line_when_nobody_wants_it() -> None:
    answers = iter([False, True])
    request = ProofreadRequest(TEXT, (), ((0, 38), (39, 77)))
    reading = infiller().hints(request, lambda: next(answers))
    assert isinstance(next(reading), tuple)
    with pytest.raises(Cancelled):
        next(reading)


def test_a_confidence_is_between_0_and_1() -> None:
    weights = Fitted.of_checkpoint(CHECKPOINT).proofreading
    assert weights is not None
    assert weigh({}, weights) == 0.5
    assert 0 <= weigh(dict.fromkeys((Fact.SURPRISE, Fact.SURE, Fact.BOUND), 1000.0), weights) <= 1


# Fitting and measuring


def test_strings_and_comments_are_quiet() -> None:
    text = "a = 'x'  # y\n'''d\nocs'''\nb = 1\n"
    quiet = quiet_parts(text)
    assert quiet is not None
    assert [text[start:end] for start, end in quiet] == ["'x'", "# y", "'''d\nocs'''"]
    page = Page(text, quiet)
    assert [text[start:end] for start, end in spans(page, 0, len(text))] == ["a = 'x'  # y", "b = 1"]
    assert quiet_parts("a = '''") is None


def facts(surprise: float) -> dict[str, float]:
    return {"always": 1.0, "surprise": surprise, "from behind": 0.0}


def windows(count: int = 40) -> list[Window]:
    rng = random.Random(0)
    return [
        Window(
            lines=50,
            doubts=[Doubt(at, at + 1, "x", facts(rng.uniform(0, 6))) for at in range(5)],
            mistakes=[
                Mistake(
                    Kind.WORD, 100, "right", [Doubt(100, 105, "right", facts(rng.uniform(7, 12)))], (100, 110)
                )
            ],
        )
        for _ in range(count)
    ]


def test_weights_tell_mistakes_from_what_is_right() -> None:
    weights = fit(windows())
    assert weights["surprise"] > 0
    result = measure(windows(), weights)
    assert result.lines == 2000
    assert result.rows["name"] == (40, 1.0, 1.0, 1.0, 1.0)
    assert 0 < result.threshold < 1
    assert "| name | 40 | 100% | 100% | 100% | 100% |" in report(result)


def test_mistakes_are_made_in_real_code_one_at_a_time() -> None:
    text = "def add(a, b):\n    if a == b and a:\n        return a + b\n    return b\n\n\n" * 8
    made = window(infiller(), text, random.Random(1))
    assert made is not None
    assert Counter(one.kind for one in made.mistakes) == {Kind.WORD: 2, Kind.SIGN: 2, Kind.KEYWORD: 2}
    assert all(text[one.at :].startswith(one.right) for one in made.mistakes)
    assert window(infiller(), "a = '''\n" * 61, random.Random(1)) is None
