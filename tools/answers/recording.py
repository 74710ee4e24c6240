"""What is kept of a scenario: its answers, its words, and how two recordings differ.

*Answers* are everything that a program reads: structure, code, edits, exit statuses. *Words* are sentences for people;
where one stood the answers have `WORDS`. Whatever differs from run to run or from machine to machine is replaced by
its name in capitals: folders, versions, times, tokens. A confidence is rounded, and compared with a tolerance.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

TOLERANCE = 0.02
"""Of confidences: products of floats are summed in other orders by other builds."""

WORDS = "WORDS"
"""Stands in the answers where there are words."""

FOR_PEOPLE = frozenset(
    {"message", "title", "label", "description", "reason", "advice", "problem", "help", "stderr"}
)
"""Keys whose texts are words."""

CONFIDENCES = frozenset({"confidence", "confidences"})

OPAQUE: Mapping[str, str] = MappingProxyType({"data": "OPAQUE", "milliseconds": "MILLISECONDS"})
"""Keys whose values tell nothing: a time, and what an editor only hands back."""

VARYING: Mapping[re.Pattern[str], str] = MappingProxyType(
    {
        re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"): "TOKEN",
        re.compile(r"\b\d{4}-\d\d-\d\d\b"): "DAY",
        re.compile(r"\b\d+ ms\b"): "N ms",
        re.compile(r"\b\d+% sure\b"): "N% sure",
        re.compile(r"\b\d+\.\d+\.\d+\b"): "VERSION",
    }
)

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Scene:
    """A scenario as it is kept.

    Attributes:
        answers: as JSON has them.
        words: by their place in the answers; a text, or a list of texts.
    """

    answers: Any
    words: dict[str, Any] = field(default_factory=dict)


Recording = dict[str, Scene]
"""Scenes by name."""


def scene(seen: object, folders: Mapping[str, str]) -> Scene:
    """What is to be kept of what was seen.

    Args:
        seen: as JSON has it.
        folders: names for the folders of this machine that may occur in texts.
    """
    words: dict[str, Any] = {}
    answers = _without_words(_steady(seen, "", folders), "", words)
    return Scene(answers, words)


def _steady(value: Any, key: str, folders: Mapping[str, str]) -> Any:
    """The value without what varies, with short ranges."""
    if key in OPAQUE:
        return OPAQUE[key]
    match value:
        case {"start": {"line": _, "character": _}, "end": {"line": _, "character": _}, **others} if (
            not others
        ):
            return _range(value)
        case {"command": str(), "arguments": list(arguments), **others}:
            # Numbers by which the server knows its own suggestion again.
            known = ["NUMBER" if isinstance(one, int) else one for one in arguments]
            value = {**others, "command": value["command"], "arguments": known}
    if isinstance(value, dict):
        return {_named(name, folders): _steady(one, name, folders) for name, one in value.items()}
    if isinstance(value, list):
        return [_steady(one, key, folders) for one in value]
    if isinstance(value, float) and key in CONFIDENCES:
        return round(value, 2)
    return _named(value, folders) if isinstance(value, str) else value


def _range(value: Mapping[str, Mapping[str, int]]) -> str:
    return "-".join(f"{value[end]['line']}:{value[end]['character']}" for end in ("start", "end"))


def _named(text: str, folders: Mapping[str, str]) -> str:
    for folder, name in folders.items():
        text = text.replace(folder, name)
    for pattern, name in VARYING.items():
        text = pattern.sub(name, text)
    return text


def _without_words(value: Any, place: str, words: dict[str, Any]) -> Any:
    """The answers in a value; what is for people is put into ``words``."""
    key = place.rpartition("/")[2]
    if value and key in FOR_PEOPLE and _is_text(value):
        words[place] = value
        return WORDS
    if isinstance(value, dict):
        return {name: _without_words(one, f"{place}/{name}", words) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_words(one, f"{place}/{number}", words) for number, one in enumerate(value)]
    return value


def _is_text(value: object) -> bool:
    lines = value if isinstance(value, list) else [value]
    return all(isinstance(one, str) for one in lines)


# Comparing


def differences(recorded: Recording, seen: Recording, words: bool = True) -> list[str]:
    """A line for each difference, which begins with the name of its scene.

    Args:
        recorded: what was kept.
        seen: what is now.
        words: False: words may differ.
    """
    return [
        f"{name}{line}"
        for name in sorted({*recorded, *seen})
        for line in _of_scenes(recorded.get(name), seen.get(name), words)
    ]


def _of_scenes(recorded: Scene | None, seen: Scene | None, words: bool) -> Iterator[str]:
    if recorded is None or seen is None:
        yield ": it is new" if recorded is None else ": it is gone"
        return
    yield from _unequal(recorded.answers, seen.answers, "")
    if words:
        yield from _unequal(recorded.words, seen.words, "")


def _unequal(recorded: Any, seen: Any, place: str) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(seen, dict):
        for name in sorted({*recorded, *seen}):
            yield from _unequal(recorded.get(name, _MISSING), seen.get(name, _MISSING), f"{place}/{name}")
    elif isinstance(recorded, list) and isinstance(seen, list):
        for number, (one, other) in enumerate(zip_longest(recorded, seen, fillvalue=_MISSING)):
            yield from _unequal(one, other, f"{place}/{number}")
    elif not _same(recorded, seen, place):
        yield f" {place}: recorded {_told(recorded)}, now {_told(seen)}"


def _same(recorded: object, seen: object, place: str) -> bool:
    if isinstance(recorded, float) and isinstance(seen, float) and CONFIDENCES & set(place.split("/")):
        return abs(recorded - seen) <= TOLERANCE + 1e-9
    return type(recorded) is type(seen) and recorded == seen


def _told(value: object) -> str:
    return "nothing" if value is _MISSING else json.dumps(value, ensure_ascii=False)


# Keeping


def load(path: Path) -> Recording:
    """A recording from its file; without scenes where there is no file."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text("utf-8"))
    return {name: Scene(one["answers"], one["words"]) for name, one in kept.items()}


def save(path: Path, recording: Recording) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: {"answers": one.answers, "words": one.words} for name, one in recording.items()}
    text = json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", "utf-8", newline="\n")
