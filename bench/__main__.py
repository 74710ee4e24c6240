"""``python -m bench``: measure everything and print the table; ``--record NAME`` also keeps it in ``results/``."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import measurements, serving, steps
from bench.figures import Figure, Machine, described, record, table, this_machine

RESULTS = Path(__file__).parent / "results"

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
    machine = this_machine()
    print(f"{described(machine)}\n", flush=True)
    if machine.is_busy:
        _say(f"The machine is busy (load {machine.load}): only ratios of one run mean anything.")
    figures: list[Figure] = []
    for name in arguments.only or MEASUREMENTS:
        _say(f"measuring: {name}")
        figures += MEASUREMENTS[name]()
    print(table(figures))
    if arguments.record:
        _keep(arguments.record, machine, figures)
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


def _keep(name: str, machine: Machine, figures: list[Figure]) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record(machine, figures), indent=2, ensure_ascii=False) + "\n", "utf-8")
    _say(f"written: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
