"""``python -m bench`` measures everything and prints a table; ``--record NAME`` also keeps it in ``results/``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping

from bench import measurements, serving, steps
from bench.figures import Figure, table
from bench.files import RESULTS, ROOT
from bench.report import introduce_machine, keep, say

MEASUREMENTS: Mapping[str, Callable[[], list[Figure]]] = {
    "cli": measurements.command_line,
    "initialize": measurements.initialize,
    "worker": measurements.worker,
    "completion": measurements.completions,
    "long": serving.long_files,
    "along": serving.typing_along,
    "storm": serving.storm,
    "tokens": measurements.encoded_tokens,
    "step": steps.one_step,
}


def main() -> int:
    arguments = _parser().parse_args()
    machine = introduce_machine()
    figures: list[Figure] = []
    for name in arguments.only or MEASUREMENTS:
        say(f"measuring: {name}")
        figures += MEASUREMENTS[name]()
    print(table(figures))
    if arguments.record:
        path = RESULTS / f"{arguments.record}.json"
        keep(path, machine, figures)
        say(f"written: {path.relative_to(ROOT)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--only", action="append", choices=list(MEASUREMENTS), help="may be given several times"
    )
    parser.add_argument("--record", type=_name, metavar="NAME", help="write bench/results/NAME.json")
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(r"[\w-][\w.-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of letters, digits, - and .")
    return text


if __name__ == "__main__":
    sys.exit(main())
