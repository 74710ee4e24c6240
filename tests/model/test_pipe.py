"""What goes into the pipe comes out of it at the other end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.pipe import Receiver, Sender, answer_line, read_answer
from dgemma_model.protocol import (
    Answer,
    Cancel,
    Capabilities,
    ContextPiece,
    Draft,
    EngineInfo,
    Error,
    Failed,
    Fill,
    FillOptions,
    FillRequest,
    Hint,
    Hints,
    ProofreadRequest,
    Ready,
    Request,
    Slot,
    WasCancelled,
    unchanged_ends,
)

SHORT = st.text("ab\n😋\ud800\0", max_size=12)
TEXTS = st.one_of(SHORT, st.tuples(SHORT, st.sampled_from([20, 90])).map(lambda pair: pair[0] * pair[1]))
MAYBE = st.none() | SHORT
SHARES = st.floats(0, 1)


@st.composite
def edited(draw: st.DrawFn, text: str) -> str:
    """A text after one edit, such as a key or a paste."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 5)))
    return text[:start] + draw(TEXTS) + text[end:]


@st.composite
def versions(draw: st.DrawFn) -> list[tuple[str, ...]]:
    """A few texts, as they are from one request to the next; some of them come and go."""
    texts = draw(st.lists(TEXTS, min_size=2, max_size=7))
    found = [tuple(texts)]
    for _ in range(draw(st.integers(0, 4))):
        which = draw(st.integers(0, len(texts) - 1))
        texts[which] = draw(edited(texts[which]))
        found.append(tuple(texts[: draw(st.integers(2, len(texts)))]))
    return found


OPTIONS = st.builds(
    FillOptions,
    steps=st.integers(1, 99),
    seed=st.integers(),
    strength=st.floats(0, 1, exclude_min=True),
    alternatives=st.integers(1, 16),
    single_line=st.booleans(),
)


@st.composite
def requests(draw: st.DrawFn) -> list[Request]:
    found: list[Request] = []
    for texts, others in zip(draw(versions()), [*draw(versions()), ()] * 3, strict=False):
        present = tuple(draw(TEXTS) for _ in texts[1:])
        pieces = tuple(ContextPiece(text, draw(MAYBE)) for text in others)
        path, language, instruction = draw(MAYBE), draw(MAYBE), draw(MAYBE)
        fill = FillRequest(texts, present, draw(OPTIONS), path, language, instruction, pieces)
        ranges = st.lists(st.tuples(st.integers(0), st.integers(0)), max_size=3).map(tuple)
        proofread = ProofreadRequest(texts[0], draw(ranges), draw(ranges), path, language)
        found += draw(st.sampled_from([[fill], [proofread], [fill, Cancel()], [proofread, fill]]))
    return found


@given(requests())
def test_every_request_arrives_as_it_was_sent(sent: list[Request]) -> None:
    sender, receiver = Sender(), Receiver()
    lines = [sender.line(number, request) for number, request in enumerate(sent)]
    assert all(line.endswith("\n") and line.count("\n") == 1 and line.isascii() for line in lines)
    assert [receiver.read(line) for line in lines] == list(enumerate(sent))


SLOTS = st.builds(Slot, SHORT, SHARES, st.booleans())
FILLS = st.builds(Fill, TEXTS, SHARES, st.booleans(), st.lists(SLOTS, max_size=3).map(tuple))
ANSWERS: st.SearchStrategy[Answer] = st.one_of(
    st.builds(
        Draft,
        st.integers(1),
        st.booleans(),
        st.lists(st.lists(FILLS, max_size=3).map(tuple), max_size=3).map(tuple),
        st.integers(0),
        st.integers(0),
        SHARES,
    ),
    st.builds(
        Hints,
        st.integers(1),
        st.booleans(),
        st.lists(st.builds(Hint, st.integers(0), st.integers(0), SHORT, SHARES), max_size=3).map(tuple),
    ),
    st.builds(Ready, st.builds(EngineInfo, SHORT, SHORT, st.integers(0), SHORT, SHORT)),
    st.builds(Failed, SHORT),
    st.builds(Error, SHORT),
    st.just(WasCancelled()),
)


@given(st.none() | st.integers(), ANSWERS)
def test_every_answer_arrives_as_it_was_given(identifier: int | None, answer: Answer) -> None:
    line = answer_line(answer, identifier)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert read_answer(line) == (identifier, answer)


def test_the_capabilities_of_a_model_arrive_too() -> None:
    able = Capabilities(True, ("python", "c"), False, False, False, 32_768)
    ready = Ready(EngineInfo("local", "big", 7, "cuda", "bfloat16", able))
    assert read_answer(answer_line(ready)) == (None, ready)


def test_of_a_long_text_only_what_was_typed_is_sent_again() -> None:
    sender, above, below = Sender(), "first = 1\n" * 5000, "last = 2\n" * 5000
    for typed in ("", "pri", "print"):
        request = FillRequest((above + typed, below), ("",), context=(ContextPiece(below),))
        message = json.loads(sender.line(1, request))
    assert message["segments"] == [[len(above) + 3, "nt", 0], [len(below), "", 0]]
    assert [piece["text"] for piece in message["context"]] == [[len(below), "", 0]]


def _fill_line(**changes: Any) -> str:
    line = json.loads(Sender().line(7, FillRequest(("a", "b"), ("",))))
    return json.dumps(line | changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"segments": ["a"]}, "1 regions need 2 segments, not 1."),
        ({"options": {"steps": 0}}, "steps must be at least 1, not 0."),
        ({"options": {"step": 1}}, "step"),
        ({"method": "sing"}, "sing"),
    ],
)
def test_an_impossible_request_becomes_the_answer_that_it_gets(
    changes: dict[str, Any], complaint: str
) -> None:
    identifier, answer = Receiver().read(_fill_line(**changes))
    assert identifier == 7
    assert isinstance(answer, Error)
    assert complaint in answer.message


def test_the_requests_behind_an_impossible_one_are_still_understood() -> None:
    sender, receiver, text = Sender(), Receiver(), "value = 1\n" * 100
    spoilt = json.loads(sender.line(1, FillRequest((text, ""), ("",)))) | {"options": {"steps": 0}}
    assert isinstance(receiver.read(json.dumps(spoilt))[1], Error)
    request = FillRequest((text + "v", ""), ("",))
    assert receiver.read(sender.line(2, request)) == (2, request)


@pytest.mark.parametrize("line", ["", "Loading: 100%", "[1]", "3", '{"loss": 3}'])
def test_what_a_library_prints_is_no_answer(line: str) -> None:
    assert read_answer(line) is None


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"event": "song"}', "unknown event, 'song'"),
        ('{"event": ["draft"]}', "unknown event"),
        ('{"event": "draft", "step": 1}', "cannot be read: KeyError"),
        ('{"event": "hints", "done": 1, "final": true, "hints": [[1]]}', "cannot be read: TypeError"),
        ('{"event": "failed"}', "cannot be read: TypeError"),
    ],
)
def test_an_answer_that_cannot_be_read_says_why(line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_answer(line)


@given(st.lists(TEXTS, min_size=4, max_size=4))
def test_the_unchanged_ends_of_two_texts_are_the_longest_ones(texts: Sequence[str]) -> None:
    first, last, old, new = texts
    before, after = first + old + last, first + new + last
    head, tail = unchanged_ends(before, after)
    middle_before, middle_after = before[head : len(before) - tail], after[head : len(after) - tail]
    assert head + tail <= min(len(before), len(after))
    assert before[:head] + middle_after + before[len(before) - tail :] == after
    assert not (middle_before and middle_after) or middle_before[0] != middle_after[0]
    assert not (middle_before and middle_after) or middle_before[-1] != middle_after[-1]
