"""Times warm fills one by one: those of a user who continues to type where the last fill was.

The files are a fixture of 300 lines, cut short or padded with the standard library of the running Python, so that the
text around the cursor is the same in files of every size.
"""

from __future__ import annotations

import sysconfig
import time
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, islice
from pathlib import Path
from statistics import median

from bench.files import LONG
from bench.keystrokes import BETWEEN_KEYS, Place, places, prefixes
from bench.lsp import Client
from bench.phases import Phases
from bench.processes import Stopwatch
from dgemma_model.fill.infiller import Infiller
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.protocol import FillOptions, FillRequest

PLACES, KEYSTROKES = 4, 6
_NOT_CODE_TO_READ = frozenset({"site-packages", "test", "tests", "idlelib", "lib2to3"})

Typed = Sequence[MaskedText]
"""A place before the first keystroke and after each."""


def lines_of_code(count: int) -> list[str]:
    """Return the first lines of the standard library."""
    return list(islice(chain.from_iterable(text.splitlines() for text in library()), count))


def sized(place: Place, lines: int) -> Place:
    """Move a place into a file of about so many lines, half of them above it."""
    own = place.text.splitlines()
    half, above, below = lines // 2, own[: place.line], own[place.line :]
    filler, missing = lines_of_code(lines), max(0, half - len(above))
    above = [*filler[:missing], *above[-half:]]
    below = [*below, *filler[missing:]][:half]
    return Place("\n".join([*above, *below]) + "\n", len(above), place.character, place.typed)


def in_files_of(lines: int) -> list[Typed]:
    """Return rests of lines in files of so many lines."""
    return [_typed(sized(place, lines)) for place in places(LONG.read_text("utf-8"), PLACES, KEYSTROKES)]


def with_regions(count: int) -> list[Typed]:
    """Return the rests of ``count`` lines at once; somebody types in the first of them."""
    return [
        _several(place, count) for place in places(LONG.read_text("utf-8"), 2 * PLACES, KEYSTROKES)[:PLACES]
    ]


def timed(infiller: Infiller, typed: Sequence[Typed], options: FillOptions) -> tuple[float, Phases]:
    """Return the median milliseconds of the fills after keystrokes, and where their time went."""
    phases, times = Phases(), list[float]()
    for texts in typed:
        for index, text in enumerate(texts):
            if index:
                with phases.watching(infiller.runner):
                    times.append(_fill(infiller, text, options))
            else:
                _fill(infiller, text, options)  # cold
            infiller.anticipate(_request(text, options), _always)  # as the worker does between keystrokes
    return median(times), phases


def served(client: Client, place: Place, asked: bool) -> Iterator[float]:
    """Yield the milliseconds from each key but the first to its completion, for somebody who types fast.

    The server is made to forget its suggestions, so that every completion is a fill.
    """
    uri = "file:///bench/somewhere.py"
    for typed, ((before, after), character) in enumerate(zip(prefixes(place), place.typed, strict=False)):
        client.reopen(uri, before + after)
        watch = Stopwatch()
        client.insert(uri, place.line, place.character + typed, character)
        client.complete(uri, place.line, place.character + typed + 1, asked)
        if typed:  # the first has a cold cache
            yield watch.milliseconds
        time.sleep(BETWEEN_KEYS)


def _fill(infiller: Infiller, text: MaskedText, options: FillOptions) -> float:
    watch = Stopwatch()
    for _ in infiller.drafts(_request(text, options), _never):
        pass
    return watch.milliseconds


def _request(text: MaskedText, options: FillOptions) -> FillRequest:
    return FillRequest(text.segments, text.present, options)


def _typed(place: Place) -> Typed:
    return [MaskedText(parts, ("",)) for parts in prefixes(place)]


def _several(place: Place, count: int) -> Typed:
    """Add the rests of the next lines of code that are long enough to a place."""
    lines = place.text.splitlines(keepends=True)
    segments = ["".join(lines[: place.line + 1]).removesuffix("\n"), "\n"]
    for line in lines[place.line + 1 :]:
        code = line.strip()
        if len(segments) <= count and len(code) >= 2 * KEYSTROKES:
            cut = line.index(code) + len(code) // 2
            segments[-1] += line[:cut]
            segments.append("\n")
        else:
            segments[-1] += line
    first, *others = segments
    ends = range(len(place.typed) + 1)
    return [MaskedText((first + place.typed[:end], *others), ("",) * count) for end in ends]


def library() -> Iterator[str]:
    """Yield the texts of the standard library's modules."""
    return (path.read_text("utf-8", "replace") for path in _modules())


@cache
def _modules() -> tuple[Path, ...]:
    every = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    return tuple(path for path in every if not _NOT_CODE_TO_READ & set(path.parts))


def _never() -> bool:
    return False


def _always() -> bool:
    return True
