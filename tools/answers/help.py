"""What both commands print about themselves, and what ``dgemma-lsp`` prints without serving anybody."""

from __future__ import annotations

import json
import re
from typing import Any

from tools.answers.command_line import Scenes, sayings
from tools.answers.outside import Outside

SAME_VALUE = re.compile(r"(-\w) (\S+), (--[\w-]+) \2")
"""How Python before 3.13 shows an option with a short form."""


def manual(outside: Outside) -> Scenes:
    for program in ("dgemma-edit", "dgemma-lsp"):
        yield f"{program} --help", _helpful(outside, program, "--help")
        yield f"{program} --version", _helpful(outside, program, "--version")
    for name in ("schema", "doctor", "stats"):
        yield f"dgemma-lsp {name} --help", _helpful(outside, "dgemma-lsp", name, "--help")
    for arguments in (["--tcp", "nowhere"], ["--device", "tpu"], ["--fast"], ["dance"], ["schema", "--json"]):
        yield f"dgemma-lsp {' '.join(arguments)}", _helpful(outside, "dgemma-lsp", *arguments)
    yield "the settings as a schema", json.loads(outside.run("dgemma-lsp", "schema").stdout)
    yield "the settings as a table", _helpful(outside, "dgemma-lsp", "schema", "--table")
    yield "counters that have counted nothing", _helpful(outside, "dgemma-lsp", "stats")
    yield "the same as JSON", json.loads(outside.run("dgemma-lsp", "stats", "--json").stdout)
    yield "a doctor who finds no model", _examined(outside)


def _helpful(outside: Outside, program: str, *arguments: str) -> dict[str, Any]:
    done = outside.run(program, *arguments)
    paragraphs = re.split(r"\n\s*\n|\n(?=\|)", done.stdout.decode().strip())
    help_ = [SAME_VALUE.sub(r"\1, \3 \2", " ".join(one.split())) for one in paragraphs if one]
    return {"status": done.status, "help": help_, "stderr": sayings(done.stderr)}


def _examined(outside: Outside) -> dict[str, Any]:
    """Of a report about this machine: which facts it has, and what it says of the model."""
    done = outside.run("dgemma-lsp", "--model", "missing", "doctor", "--json")
    report = json.loads(done.stdout)
    return {
        "status": done.status,
        "facts": sorted(report),
        "packages": sorted(report["versions"]),
        "fill": report["fill"],
        "problem": report["problem"],
    }
