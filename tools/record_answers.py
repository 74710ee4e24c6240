"""Records what the product answers from the outside, so that a change of its inside can be proved to change nothing.

``python -m tools.record_answers`` runs every scenario and writes ``fixtures/recorded/``; read the diff before it is
committed. With ``--words-only`` sentences for people may have changed and nothing else: whenever an answer differs
from the recorded one, nothing is written.

Exit status: 0 recorded · 1 refused, with a line for each difference · 2 this machine cannot repeat the answers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from tools.answers.outside import why_not_here
from tools.answers.recording import Recording, Scene, differences, load, save
from tools.answers.takings import RECORDINGS, file_of, take


def main(argv: Sequence[str] | None = None) -> int:
    """Record; returns the exit status."""
    arguments = _parser().parse_args(argv)
    if reason := why_not_here():
        print(f"Nothing was recorded: {reason}.", file=sys.stderr)
        return 2
    seen = {name: take(name) for name in RECORDINGS}
    if arguments.words_only:
        recorded = {name: load(file_of(name)) for name in RECORDINGS}
        if refused := other_than_words(recorded, seen):
            print(
                "Nothing was written, since more than words has changed:", *refused, sep="\n", file=sys.stderr
            )
            return 1
        seen = {name: with_words(recorded[name], seen[name]) for name in RECORDINGS}
    for name, recording in seen.items():
        save(file_of(name), recording)
    return 0


def other_than_words(recorded: Mapping[str, Recording], seen: Mapping[str, Recording]) -> list[str]:
    """A line for each answer that differs, which names its recording and its scene."""
    return [
        f"{name}: {line}"
        for name in recorded
        for line in differences(recorded[name], seen[name], words=False)
    ]


def with_words(recorded: Recording, seen: Recording) -> Recording:
    """The recorded answers with the words that were seen."""
    return {name: Scene(one.answers, seen[name].words) for name, one in recorded.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Record what the product answers, from the outside.")
    parser.add_argument(
        "--words-only", action="store_true", help="refuse when anything but sentences for people has changed"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
