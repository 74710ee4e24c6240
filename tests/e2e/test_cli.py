"""``dgemma-edit`` as its users run it: real processes with the bundled model.

What the model says is not the question here, and mostly a plain text file is filled, where nothing need parse: what is
asserted must hold for every fill.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dgemma_model.network.folder import BUNDLED, WEIGHTS

COMMAND = str(Path(sys.executable).with_name("dgemma-edit"))

TEXT = b"""\
first = load("first", limit=10)
second = load("second", limit=10)
third = load(\xe2\x80\xa6)
fourth = load(\xe2\x80\xa6)
fifth = load("fifth", limit=10)
"""
THIRD, FOURTH = "3:14:3:15", "4:15:4:16"
AROUND_BOTH = re.compile(
    rb"""first = load\("first", limit=10\)
second = load\("second", limit=10\)
third = load\((.*)\)
fourth = load\((.*)\)
fifth = load\("fifth", limit=10\)
""",
    re.DOTALL,
)
"""The text with anything in its two regions."""

Done = subprocess.CompletedProcess[bytes]

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.name != "posix", reason="signals and terminals as POSIX has them"),
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "settings.txt"
    path.write_bytes(TEXT)
    return path


def edit(*arguments: object, stdin: bytes | None = None) -> Done:
    source: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    command = [COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60, **source)


def spans(*regions: str) -> list[str]:
    return [argument for region in regions for argument in ("--span", region)]


def attempts(*arguments: object, stdin: bytes | None = None) -> Iterator[Done]:
    """The same fill with other seeds."""
    for seed in range(4):
        yield edit(*arguments, "--min-confidence", 0, "--seed", seed, stdin=stdin)


def accepted(*arguments: object, stdin: bytes | None = None) -> Done:
    """A fill that was accepted: one of many will be, whatever the model has learned."""
    for done in attempts(*arguments, "--alternatives", 16, stdin=stdin):
        assert done.returncode in (0, 1), done.stderr.decode()
        if done.returncode == 0:
            return done
    pytest.fail("none of 64 fills was accepted")


def assert_refused(done: Done, status: int, *words: str) -> None:
    """One sentence on stderr, and nothing else."""
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (status, b""), line
    assert re.fullmatch(r"dgemma-edit: .*\.", line), line
    assert all(word in line for word in words), line


# What is printed and written


def test_the_diff_changes_only_the_regions_and_git_applies_it(file: Path) -> None:
    done = accepted(file.name, *spans(THIRD, FOURTH))
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout
    assert file.read_bytes() == TEXT
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    subprocess.run(["git", "apply", "-"], cwd=file.parent, input=done.stdout, check=True)
    assert AROUND_BOTH.fullmatch(file.read_bytes())
    assert file.read_bytes() != TEXT


def test_write_keeps_mode_byte_order_mark_and_line_endings(file: Path) -> None:
    before = codecs.BOM_UTF8 + TEXT.replace(b"\n", b"\r\n")
    file.write_bytes(before)
    file.chmod(0o640)
    done = accepted(file.name, *spans(THIRD), "--write")
    assert done.stdout == b""
    assert re.fullmatch(r"dgemma-edit: Filled 1 region of settings.txt in .* sure\.\n", done.stderr.decode())
    after = file.read_bytes()
    assert after.startswith(codecs.BOM_UTF8)
    assert after.count(b"\n") == after.count(b"\r\n")
    begin, end = before.split("…".encode(), 1)
    assert (after[: len(begin)], after[-len(end) :]) == (begin, end)
    assert file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(file.parent) == ["settings.txt"]


def test_json_tells_the_same_as_the_filled_text(file: Path) -> None:
    seen = json.loads(accepted(file.name, *spans(FOURTH, THIRD), "--json").stdout)
    assert seen["file"] == "settings.txt"
    assert seen["written"] is False
    assert seen["engine"]["model"] == "bundled"
    assert seen["engine"]["parameters"] > 1_000_000
    assert seen["steps"] >= 1
    assert seen["milliseconds"] > 0
    assert 0 < seen["encoded_tokens"] <= seen["prompt_tokens"] * seen["steps"]
    assert [region["start"]["line"] for region in seen["regions"]] == [3, 4]
    assert [region["present"] for region in seen["regions"]] == ["…", "…"]
    first = seen["alternatives"][0]
    assert [region["fill"] for region in seen["regions"]] == first["fills"]
    assert (first["rejection"], first["reason"]) == (None, "")
    assert all(0 <= confidence <= 1 for one in seen["alternatives"] for confidence in one["confidences"])


def test_a_dash_reads_stdin_and_a_seed_is_a_promise() -> None:
    first = accepted("-", *spans(THIRD, FOURTH), "--output", "text", stdin=TEXT)
    assert first.stderr == b""
    assert AROUND_BOTH.fullmatch(first.stdout)
    assert accepted("-", *spans(THIRD, FOURTH), "--output", "text", stdin=TEXT).stdout == first.stdout


def test_two_regions_are_filled_by_one_denoising_loop(file: Path) -> None:
    for done in attempts(file.name, *spans(THIRD, FOURTH), "--steps", 1, "--json"):
        seen = json.loads(done.stdout)
        assert all(len(one["fills"]) == 2 for one in seen["alternatives"])
        if seen["steps"] == 1:  # more where a region did not end in its slots, and the canvas was widened
            return
    pytest.fail("a single step never filled both regions")


def test_a_python_file_is_filled_with_what_parses_or_not_at_all(file: Path) -> None:
    python = file.with_name("area.py")
    text = "def area(width, height):\n    return width * …\n"
    python.write_text(text, encoding="utf-8")
    done = edit(
        python.name, *spans("2:20:2:21"), "--min-confidence", 0, "--alternatives", 16, "--output", "text"
    )
    if done.returncode == 0:
        compile(done.stdout, "area.py", "exec")
    else:
        assert_refused(done, 1)
    assert python.read_text("utf-8") == text


# A terminal


class Terminal:
    """``dgemma-edit`` with a pseudo-terminal for stdin and stderr, and a pipe for stdout."""

    def __init__(self, *arguments: object) -> None:
        import pty

        self._ours, theirs = pty.openpty()
        self.shown = b""
        self.process = subprocess.Popen(
            [COMMAND, *map(str, arguments)],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(theirs)

    def read_until(self, wanted: bytes) -> None:
        """Read until the terminal has shown something, or to the end."""
        # Linux ends the reading of a terminal that nobody writes to with an error, others with nothing.
        try:
            while wanted not in self.shown and (piece := os.read(self._ours, 4096)):
                self.shown += piece
        except OSError:
            pass

    def finish(self) -> bytes:
        """Read to the end; returns what stdout got."""
        self.read_until(b"\0 is never shown")
        out, _ = self.process.communicate(timeout=60)
        os.close(self._ours)
        return out


def test_a_terminal_shows_the_canvas_resolving(file: Path) -> None:
    terminal = Terminal(file.name, *spans(THIRD, FOURTH), "--min-confidence", 0)
    out = terminal.finish()
    assert terminal.process.returncode in (0, 1)
    shown = terminal.shown.decode()
    assert "Loading the model" in shown
    headlines = re.findall(r"settings\.txt · (filling|filled) · step (\d+) · \d+% sure", shown)
    assert (headlines[0], headlines[-1][0]) == (("filling", "1"), "filled")
    assert re.search(r"\x1b\[(?:2;)?3[123]m", shown), "slots are coloured by confidence"
    assert b"\x1b" not in out


@pytest.mark.parametrize("moment", ["Loading the model", "step 1"])
def test_control_c_leaves_the_file_as_it_was(file: Path, moment: str) -> None:
    # Enough to do that the signal does not come too late.
    many = ["--alternatives", 16, "--steps", 500]
    terminal = Terminal(file.name, *spans(THIRD, FOURTH), "--write", *many)
    terminal.read_until(moment.encode())
    terminal.process.send_signal(signal.SIGINT)
    out = terminal.finish()
    assert (terminal.process.returncode, out) == (130, b"")
    assert terminal.shown.replace(b"\r", b"").endswith(b"dgemma-edit: Interrupted.\n")
    assert (file.read_bytes(), os.listdir(file.parent)) == (TEXT, ["settings.txt"])


# Exit statuses


def test_a_fill_that_is_not_sure_enough_is_status_1(file: Path) -> None:
    done = edit(file.name, *spans(THIRD, FOURTH), "--write", "--min-confidence", 1)
    assert_refused(done, 1)
    assert file.read_bytes() == TEXT


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.txt", *spans("1")], ["missing.txt"]),
        ([".", *spans("1")], ["directory"]),
        (["settings.txt"], ["--span"]),
        (["settings.txt", *spans("9")], ["line 9"]),
        (["settings.txt", *spans("3:9:3:2")], ["ends before it starts"]),
        (["settings.txt", *spans("1:3", "2")], ["overlap"]),
        (["binary.bin", *spans("1")], ["NUL"]),
    ],
    ids=["missing file", "folder", "no span", "outside", "backwards", "overlapping", "binary"],
)
def test_wrong_use_is_status_2(file: Path, arguments: list[str], words: list[str]) -> None:
    file.with_name("binary.bin").write_bytes(b"\0\1")
    assert_refused(edit(*arguments), 2, *words)
    assert file.read_bytes() == TEXT


def test_an_unknown_model_is_status_3(file: Path) -> None:
    done = edit(file.name, *spans(THIRD), "--write", "--model", "no/such/model")
    assert_refused(done, 3, "no/such/model")
    assert file.read_bytes() == TEXT


@pytest.mark.parametrize("kept", [0, 1000, -1], ids=["empty", "cut off in the header", "cut off at the end"])
def test_truncated_weights_are_status_3(
    file: Path, tmp_path_factory: pytest.TempPathFactory, kept: int
) -> None:
    model = tmp_path_factory.mktemp("models") / "truncated"
    shutil.copytree(BUNDLED, model)
    weights = (model / WEIGHTS).read_bytes()
    (model / WEIGHTS).write_bytes(weights[:kept])
    assert_refused(edit(file.name, *spans(THIRD), "--write", "--model", model), 3, WEIGHTS, "damaged")
    assert file.read_bytes() == TEXT


def test_a_folder_that_is_no_checkpoint_is_status_3(file: Path) -> None:
    done = edit(file.name, *spans(THIRD), "--write", "--model", file.parent)
    assert_refused(done, 3, "config.json")
    assert file.read_bytes() == TEXT


# Start-up


def test_a_fill_needs_neither_torchs_compiler_nor_transformers(file: Path) -> None:
    script = (
        "import sys\nfrom dgemma_lsp.cli import edit\n"
        "edit.main(sys.argv[1:])\n"
        "assert 'torch' in sys.modules\n"
        "heavy = {'torch._dynamo', 'torch._inductor', 'sympy', 'transformers', 'rich'}\n"
        "print('heavy:', *heavy & set(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, file.name, *spans(THIRD)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    # A rejected fill has its reason before that.
    assert done.stderr.decode().splitlines()[-1] == "heavy:", "each of these takes longer than the fill"
