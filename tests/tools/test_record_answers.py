"""How answers are told from words, what counts as a difference, and that words alone may be recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools import record_answers
from tools.answers.recording import WORDS, Scene, differences, load, save, scene
from tools.record_answers import main


def test_sentences_are_kept_beside_the_answers() -> None:
    told = [{"title": "Replace it", "kind": "quickfix"}, {"message": ""}]
    kept = scene(told, {})
    assert kept.answers == [{"title": WORDS, "kind": "quickfix"}, {"message": ""}]
    assert kept.words == {"/0/title": "Replace it"}


def test_a_range_is_short() -> None:
    start, end = {"line": 1, "character": 2}, {"line": 3, "character": 0}
    assert scene({"range": {"start": start, "end": end}}, {}).answers == {"range": "1:2-3:0"}


@pytest.mark.parametrize(
    ("seen", "kept"),
    [
        ({"uri": "file:///tmp/x1/a.py"}, {"uri": "file:///here/a.py"}),
        ({"file:///tmp/x1/a.py": 1}, {"file:///here/a.py": 1}),
        ({"milliseconds": 12.5}, {"milliseconds": "MILLISECONDS"}),
        ({"data": {"start": 4}}, {"data": "OPAQUE"}),
        ({"token": "0f8fad5b-d9cb-469f-a165-70867728950e"}, {"token": "TOKEN"}),
        ({"version": "0.1.0"}, {"version": "VERSION"}),
        ({"command": "take", "arguments": ["a", 7]}, {"command": "take", "arguments": ["a", "NUMBER"]}),
        ({"confidences": [0.123456, None]}, {"confidences": [0.12, None]}),
        ({"default": 0.123456}, {"default": 0.123456}),
    ],
)
def test_what_varies_is_replaced_by_its_name(seen: Any, kept: Any) -> None:
    assert scene(seen, {"/tmp/x1": "/here"}).answers == kept


def test_times_and_confidences_in_sentences_are_left_out() -> None:
    assert scene({"message": "Filled in 31 ms, 71% sure."}, {}).words == {
        "/message": "Filled in N ms, N% sure."
    }


@pytest.mark.parametrize(
    ("recorded", "seen", "differs"),
    [
        ({"confidence": 0.40}, {"confidence": 0.42}, False),
        ({"confidence": 0.40}, {"confidence": 0.43}, True),
        ({"confidences": [0.40]}, {"confidences": [0.38]}, False),
        ({"default": 0.40}, {"default": 0.41}, True),
        ({"steps": 4}, {"steps": 5}, True),
        ({"written": False}, {"written": 0}, True),
        ({"fill": "a"}, {"fill": None}, True),
        ({"fill": None}, {}, True),
        (["a"], ["a", "b"], True),
        ({"a": [1]}, {"a": {"0": 1}}, True),
    ],
)
def test_only_confidences_may_be_a_little_different(recorded: Any, seen: Any, differs: bool) -> None:
    found = differences({"one": Scene(recorded)}, {"one": Scene(seen)})
    assert bool(found) is differs


def test_a_difference_names_its_scene_and_its_place() -> None:
    recorded, seen = Scene({"a": [1, 2]}), Scene({"a": [1, 3]})
    assert differences({"one": recorded}, {"one": seen}) == ["one /a/1: recorded 2, now 3"]


def test_a_scene_that_came_or_went_is_a_difference() -> None:
    assert differences({"one": Scene(1)}, {"two": Scene(1)}) == ["one: it is gone", "two: it is new"]


def test_words_are_compared_unless_they_may_differ() -> None:
    recorded, seen = {"one": scene({"title": "Old"}, {})}, {"one": scene({"title": "New"}, {})}
    assert len(differences(recorded, seen)) == 1
    assert differences(recorded, seen, words=False) == []


def test_a_sentence_that_is_gone_is_more_than_words() -> None:
    recorded, seen = {"one": scene({"title": "Old"}, {})}, {"one": scene({}, {})}
    assert len(differences(recorded, seen, words=False)) == 1


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    recording = {"one": scene({"title": "“Für” 😋", "fill": "x\r\n"}, {})}
    save(tmp_path / "new" / "one.json", recording)
    assert load(tmp_path / "new" / "one.json") == recording


# The command


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the only recording, with an answer and a word."""
    path = tmp_path / "menu.json"
    save(path, {"lunch": scene({"title": "Soup", "confidence": 0.51, "steps": 4}, {})})
    monkeypatch.setattr(record_answers, "RECORDINGS", ("menu",))
    monkeypatch.setattr(record_answers, "file_of", lambda name: path)
    monkeypatch.setattr(record_answers, "why_not_here", lambda: "")
    return path


def answer(monkeypatch: pytest.MonkeyPatch, **seen: Any) -> None:
    monkeypatch.setattr(record_answers, "take", lambda name: {"lunch": scene(seen, {})})


def test_words_alone_are_recorded_and_answers_stay(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, title="Broth", confidence=0.52, steps=4)
    assert main(["--words-only"]) == 0
    (kept,) = load(file).values()
    assert kept.words == {"/title": "Broth"}
    assert kept.answers == {"title": WORDS, "confidence": 0.51, "steps": 4}


def test_more_than_words_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    answer(monkeypatch, title="Broth", confidence=0.52, steps=5)
    assert main(["--words-only"]) == 1
    assert file.read_bytes() == before
    assert "menu: lunch /steps: recorded 4, now 5" in capsys.readouterr().err


def test_everything_is_recorded_without_that_option(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, title="Broth", confidence=0.9, steps=5)
    assert main([]) == 0
    (kept,) = load(file).values()
    assert kept.answers == {"title": WORDS, "confidence": 0.9, "steps": 5}


def test_nothing_is_recorded_where_it_could_not_be_repeated(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()
    monkeypatch.setattr(record_answers, "why_not_here", lambda: "it is another processor")
    assert main([]) == 2
    assert file.read_bytes() == before
