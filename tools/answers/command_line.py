"""``dgemma-edit`` from the outside: fills, refusals and wrong use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tools.answers.outside import Done, Outside

Scenes = Iterator[tuple[str, Any]]
"""A name for each scenario, and what was seen in it."""

DEMO = "demo_inventory.py"
BOTH = ("--span", "36:21:36:24", "--span", "38:16:38:19")
SHORT = ("plain_utf8.py", "--span", "3:12:3:30")


def fills(outside: Outside) -> Scenes:
    """What is filled, printed and written; each of these loads the model."""
    for fixture in (DEMO, "plain_utf8.py", "crlf_with_tabs.py", "latin1_declared.py"):
        outside.copy(fixture)
    yield "two spans as a diff", _edit(outside, DEMO, *BOTH)
    several = ("--json", "--alternatives", "4", "--seed", "7")
    yield "two spans with alternatives as JSON", _edit(outside, DEMO, *BOTH, *several)
    piped = ("-", *BOTH, "--stdin-filename", "stock.py", "--output", "text")
    yield "standard input as text", _edit(outside, *piped, stdin=_raw(outside, DEMO))
    place = ("--span", "@61:@79", "--steps", "1")
    yield "too unsure, as JSON", _edit(outside, "plain_utf8.py", *place, "--min-confidence", "1", "--json")
    latin = "latin1_declared.py"
    rewritten = _edit(outside, latin, "--span", "3:7:3:11", "--strength", "0.4", "--write", "--json")
    yield "a gentle rewrite of a latin-1 file", {**rewritten, "file": _lines(_raw(outside, latin))}
    written = _edit(outside, "crlf_with_tabs.py", "--span", "4:10:4:14", "--write")
    yield "written into a file with CR LF", {**written, "file": _lines(_raw(outside, "crlf_with_tabs.py"))}


def refusals(outside: Outside) -> Scenes:
    """Every way to be refused, with its exit status; none of them reaches the model, but for the last."""
    _copy_odd_files(outside)
    for name, arguments in _wrong_use():
        yield name, _edit(outside, *arguments)
    for span in ("0", "9", "2:99", "3:9:3:2", "1:2:3:4:5", "x", "1:2:3", "@9999", "2:99:2:100", "3:"):
        yield f"the span {span}", _edit(outside, "plain_utf8.py", "--span", span)
    for name in _ODD_FILES:
        yield f"the file {name}", _edit(outside, name, "--span", "1")
    yield "a byte inside a character", _edit(outside, "astral_characters.py", "--span", "@10")
    yield "a byte inside a line ending", _edit(outside, "crlf_with_tabs.py", "--span", "@18")
    yield "a byte inside the byte order mark", _edit(outside, "utf8_with_bom.py", "--span", "@1")
    yield "a folder without a checkpoint", _edit(outside, *SHORT, "--model", ".")


_ODD_FILES = (
    "nul_bytes.bin",
    "invalid_utf8.py",
    "shift_jis_declared.py",
    "latin1_declared_with_bom.py",
    "utf16.txt",
    "missing.py",
    ".",
)


def _copy_odd_files(outside: Outside) -> None:
    there = [name for name in _ODD_FILES if name not in ("missing.py", ".")]
    for name in (*there, "plain_utf8.py", "astral_characters.py", "crlf_with_tabs.py", "utf8_with_bom.py"):
        outside.copy(name)


def _wrong_use() -> Iterator[tuple[str, tuple[str, ...]]]:
    file, line = "plain_utf8.py", ("--span", "3")
    yield "nothing at all", ()
    yield "no span", (file,)
    yield "a span without its value", (file, "--span")
    yield "overlapping spans", (file, "--span", "1:3", "--span", "2")
    yield "an unknown option", (file, *line, "--fast")
    yield "an unknown output", (file, *line, "--output", "html")
    yield "two outputs", (file, *line, "--json", "--output", "text")
    yield "steps that are no number", (file, *line, "--steps", "many")
    yield "no steps", (file, *line, "--steps", "0")
    yield "a strength of 0", (file, *line, "--strength", "0")
    yield "no alternatives", (file, *line, "--alternatives", "0")
    yield "a confidence above 1", (file, *line, "--min-confidence", "2")
    yield "standard input to be written", ("-", *line, "--write")
    yield "a name for standard input with a file", (file, *line, "--stdin-filename", "a.py")


def _edit(outside: Outside, *arguments: str, stdin: bytes = b"") -> dict[str, Any]:
    """How ``dgemma-edit`` ended and what it printed."""
    done = outside.run("dgemma-edit", *arguments, stdin=stdin)
    return {"status": done.status, "stdout": _printed(done), "stderr": sayings(done.stderr)}


def _printed(done: Done) -> Any:
    if done.stdout.startswith(b"{"):
        return json.loads(done.stdout)
    return _lines(done.stdout)


def sayings(text: str) -> list[str]:
    """What was said to the user, a line each, as every version of Python's argparse would say it."""
    return [line.replace("'", "") if "choose from" in line else line for line in text.splitlines()]


def _raw(outside: Outside, name: str) -> bytes:
    return (outside.here / name).read_bytes()


def _lines(raw: bytes) -> list[str]:
    """Bytes as lines that keep every ending but LF."""
    return raw.decode("utf-8", "backslashreplace").split("\n") if raw else []
