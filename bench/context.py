"""``python -m bench.context`` measures what other open documents add to exact match, and writes a page about it.

On held-out packages, some other files of the package play the open documents: first those that the file imports, then
those of its folder. The same places are filled with each source of context by the model alone.

A corpus has no history, so recent edits are made up: places in those files, and in as many others. They are either
anywhere, or where a name occurs that is about to be written, as when somebody changes the same thing everywhere.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dgemma_lsp.fill.context import BUDGET, Names, cut, names_around, similar, within
from dgemma_model.fill.infiller import Infiller
from dgemma_model.protocol import FillOptions
from dgemma_model.train.data.sources import read_sources
from dgemma_model.train.evaluate.cases import Case, Kind, draw
from dgemma_model.train.evaluate.scores import last_draft

TABS = 4

Tabs = Sequence[str]

EDITS = 6
_EDITED = 600  # characters on each side of an edited place


@dataclass(frozen=True, slots=True)
class Surrounding:
    """What there is to know around a place.

    Attributes:
        names: the names near the place that is filled.
        tabs: the texts of other open documents.
        edited: pieces of them around places that were edited recently.
        renamed: pieces of them around names that are about to be written.
        elsewhere: pieces around such names in other documents, too.
    """

    names: Names
    tabs: Tabs
    edited: Sequence[str]
    renamed: Sequence[str]
    elsewhere: Sequence[str]


def _pieces(around: Surrounding) -> list[str]:
    return list(similar(around.names, (piece for tab in around.tabs for piece in cut(tab))))


SOURCES: Mapping[str, Callable[[Surrounding], tuple[str, ...]]] = {
    "nothing": lambda around: (),
    "similar pieces": lambda around: within(BUDGET, _pieces(around)),
    "definitions of names": lambda around: within(BUDGET, definitions(around.names, around.tabs)),
    "definitions, then similar pieces": lambda around: within(
        BUDGET, [*definitions(around.names, around.tabs), *_pieces(around)]
    ),
    "whole documents": lambda around: tuple(around.tabs),
    "edited places, then similar pieces": lambda around: within(BUDGET, [*around.edited, *_pieces(around)]),
    "places with the same change, then similar pieces": lambda around: within(
        BUDGET, [*around.renamed, *_pieces(around)]
    ),
    "the same, of documents that are not open too": lambda around: within(
        BUDGET, [*around.elsewhere, *_pieces(around)]
    ),
}


_DEFINITION = re.compile(
    r"^[ \t]*(?:async )?(?:def|class)[ \t]+(\w+)|^(\w+)[ \t]*(?::[^=\n]+)?=(?!=)", re.MULTILINE
)
_DEFINITION_LINES = 12


def definitions(wanted: Names, tabs: Tabs) -> Iterator[str]:
    """Find where some names are defined in some texts, and yield those lines and some below."""
    for text in tabs:
        for found in _DEFINITION.finditer(text):
            if (found[1] or found[2]) in wanted:
                lines = text[found.start() :].split("\n", _DEFINITION_LINES)
                yield "\n".join(lines[:_DEFINITION_LINES])


def tabs_of(path: str, text: str, package: Mapping[str, str], rng: random.Random) -> list[str]:
    """Choose other files of a package that somebody may have open, and as many more."""
    imported = set(re.findall(r"^\s*(?:from|import)\s+[\w.]*?(\w+)(?:\s+import|\s*$)", text, re.MULTILINE))
    others = [other for other in package if other != path]
    rng.shuffle(others)
    folder = PurePosixPath(path).parent
    others.sort(
        key=lambda other: (PurePosixPath(other).stem not in imported, PurePosixPath(other).parent != folder)
    )
    return [package[other] for other in others[: 2 * TABS]]


def edited(texts: Sequence[str], names: Set[str], rng: random.Random) -> list[str]:
    """Return pieces of some texts around an occurrence of one of these names; without names, around any name."""
    found = []
    for text in texts:
        starts = [
            name.start() for name in re.finditer(r"[^\W\d]\w{2,}", text) if not names or name[0] in names
        ]
        if starts:
            at = rng.choice(starts)
            found.append(text[max(0, at - _EDITED) : at + _EDITED])
    return found[:EDITS]


def packages(corpus: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for source in read_sources(corpus):
        found.setdefault(source.package, {})[source.path] = source.text
    return {name: files for name, files in found.items() if len(files) > TABS}


def cases(corpus: Path, count: int) -> Iterator[tuple[Case, Surrounding]]:
    """Draw rests of lines, and what else is open around them; the packages take turns."""
    found, rng = packages(corpus), random.Random(0)
    paths = {name: {text: path for path, text in files.items()} for name, files in found.items()}
    drawn = draw({name: list(texts) for name, texts in paths.items()}, Kind.REST_OF_LINE, count)
    for number, case in enumerate(drawn):
        path, truth, segments = paths[case.package][case.text], case.truths[0], case.masked.segments
        files = tabs_of(path, case.text, found[case.package], rng)
        tabs, own = files[:TABS], random.Random(number)
        names = set(re.findall(r"[^\W\d]\w{2,}", truth))
        renamed, everywhere = (edited(texts, names, own) if names else [] for texts in (tabs, files))
        near = names_around(segments[0] + segments[1], len(segments[0]))
        yield case, Surrounding(near, tabs, edited(tabs, set(), own), renamed, everywhere)


def exact(infiller: Infiller, case: Case, context: tuple[str, ...]) -> bool:
    """Tell whether the first answer is right with this context."""
    fills = last_draft(infiller, case, FillOptions(), context).alternatives[0]
    return all(case.right([fill.text for fill in fills]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.context", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus/held_out.jsonl"))
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    infiller = Infiller.load()
    hits = dict.fromkeys(SOURCES, 0)
    better, worse = dict.fromkeys(SOURCES, 0), dict.fromkeys(SOURCES, 0)
    for case, around in cases(arguments.corpus, arguments.count):
        alone = False
        for name, source in SOURCES.items():
            hit = exact(infiller, case, source(around))
            alone = hit if name == "nothing" else alone
            hits[name] += hit
            better[name] += hit and not alone
            worse[name] += alone and not hit
    rows = [
        f"| {name} | {hits[name] / arguments.count:.1%} | {better[name]} | {worse[name]} |"
        for name in SOURCES
    ]
    page = "\n".join(
        [
            "# What other open documents add",
            "",
            f"{arguments.count} rests of lines of held-out packages, with {TABS} other files of the package open;",
            f"exact match of the first answer. Pieces are kept within {BUDGET:,} characters.",
            "",
            "| context | exact match | right only with it | right only without it |",
            "| --- | ---: | ---: | ---: |",
            *rows,
            "",
        ]
    )
    print(page)
    if arguments.report:
        arguments.report.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
