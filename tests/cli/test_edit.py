import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dgemma_lsp import __version__
from dgemma_lsp.cli import edit, edit_answer
from dgemma_lsp.engines.base import Engine, EngineError
from dgemma_model.protocol import Fill
from tests.fakes import FakeEngine

REPOSITORY = Path(__file__).parents[2]
FIXTURES = REPOSITORY / "fixtures"

CODE = b"def area(radius):\n    return 0\n\nprint(area(2))\n"
FILLED = CODE.replace(b"0", b"3 * radius")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "area.py"
    path.write_bytes(CODE)
    return path


def run(arguments: Sequence[object], engine: FakeEngine | None = None) -> int:
    engine = engine or FakeEngine([["3 * radius"]])
    status = edit.main([str(argument) for argument in arguments], lambda model, device: engine)
    assert engine.closed == bool(engine.loads), "an engine that was made is closed"
    return status


ZERO = "2:12:2:13"


def test_prints_a_diff_that_git_applies(file: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run([file, "--span", ZERO]) == 0
    diff, errors = capfdbinary.readouterr()
    assert diff == (
        b"--- a/area.py\n+++ b/area.py\n@@ -1,4 +1,4 @@\n def area(radius):\n"
        b"-    return 0\n+    return 3 * radius\n \n print(area(2))\n"
    )
    assert (errors, file.read_bytes()) == (b"", CODE)
    if shutil.which("git"):
        subprocess.run(["git", "apply", "-"], cwd=file.parent, input=diff, check=True)
        assert file.read_bytes() == FILLED


def test_a_file_elsewhere_is_named_from_the_root(
    file: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (file.parent / "sub").mkdir()
    os.chdir(file.parent / "sub")
    assert run(["../area.py", "--span", ZERO]) == 0
    wanted = "a/" + file.relative_to(file.anchor).as_posix()
    assert capfdbinary.readouterr()[0].splitlines()[0].decode() == f"--- {wanted}"


def test_write_edits_in_place_and_says_so(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["area.py", "--span", ZERO, "--write"]) == 0
    assert file.read_bytes() == FILLED
    assert capfd.readouterr() == (
        "",
        "dgemma-edit: Filled 1 region of area.py in 3 steps and 3 ms, 90% sure.\n",
    )


def test_write_prints_what_it_is_asked_to(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([file, "--span", ZERO, "-w", "-o", "diff"]) == 0
    assert file.read_bytes() == FILLED
    assert capfd.readouterr().out.startswith("--- a/area.py")


@pytest.mark.parametrize("arguments", [["-o", "text"], ["--output", "text"], ["--output=text"]])
def test_text_is_the_whole_file(
    file: Path, arguments: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run([file, "--span", ZERO, *arguments]) == 0
    assert (capfdbinary.readouterr()[0], file.read_bytes()) == (FILLED, CODE)


def test_text_keeps_encoding_and_line_endings(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(FIXTURES)
    assert run(["latin1_declared.py", "--span", "3", "-o", "text"], FakeEngine([["print('é')\nx = 1"]])) == 0
    assert capfdbinary.readouterr()[
        0
    ] == "# -*- coding: latin-1 -*-\nname = \"Zoë\"\nprint('é')\nx = 1\n".encode("latin-1")
    assert run(["crlf_with_tabs.py", "--span", "5", "-o", "text"], FakeEngine([["\tx\n\ty"]])) == 0
    assert capfdbinary.readouterr()[0].endswith(b"item\r\n\tx\r\n\ty\r\n")


def test_json_says_everything(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fills: list[list[str | Fill]] = [["r", Fill("3 * r", 0.5)], ["", "("]]
    assert run(["area.py", "--span", ZERO, "--span", "1:10:1:16", "--json"], FakeEngine(fills)) == 0
    assert json.loads(capfd.readouterr().out) == {
        "file": "area.py",
        "written": False,
        "steps": 3,
        "milliseconds": 3.0,
        "prompt_tokens": 11,
        "encoded_tokens": 7,
        "engine": {
            "name": "fake",
            "model": "told what to say",
            "parameters": 0,
            "device": "cpu",
            "dtype": "none",
        },
        "regions": [
            {
                "start": {"line": 1, "column": 10, "byte": 9},
                "end": {"line": 1, "column": 16, "byte": 15},
                "present": "radius",
                "fill": "r",
                "confidence": 0.9,
            },
            {
                "start": {"line": 2, "column": 12, "byte": 29},
                "end": {"line": 2, "column": 13, "byte": 30},
                "present": "0",
                "fill": "3 * r",
                "confidence": 0.5,
            },
        ],
        "alternatives": [
            {"fills": ["r", "3 * r"], "confidences": [0.9, 0.5], "rejection": None, "reason": ""},
            {
                "fills": ["", "("],
                "confidences": [0.9, 0.9],
                "rejection": "unparseable",
                "reason": "The fill would bring a syntax error into the file.",
            },
        ],
    }


def test_the_documented_json_has_the_keys_of_the_real_one(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run([file, "--span", ZERO, "--json"])

    def keys(value: Any) -> set[str]:
        values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        return (set(value) if isinstance(value, dict) else set()).union(*map(keys, values))

    assert edit_answer.__doc__ is not None
    assert all(f'"{key}"' in edit_answer.__doc__ for key in keys(json.loads(capfd.readouterr().out)))


def test_json_and_write_go_together(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([file, "--span", ZERO, "--json", "--write"]) == 0
    assert json.loads(capfd.readouterr().out)["written"] is True
    assert file.read_bytes() == FILLED


def test_options_reach_the_engine(file: Path) -> None:
    asked: list[tuple[str | None, str]] = []
    engine = FakeEngine([["1"]])

    def factory(model: str | None, device: str) -> Engine:
        asked.append((model, device))
        return engine

    numbers = ["--steps=2", "--seed=7", "--strength=0.5", "--alternatives=3"]
    assert edit.main([str(file), "--span", ZERO, *numbers, "--model=big", "--device=cuda"], factory) == 0
    options = engine.requests[0].options
    assert asked == [("big", "cuda")]
    assert (options.steps, options.seed, options.strength, options.alternatives) == (2, 7, 0.5, 3)


def stdin(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


def test_a_dash_reads_stdin(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    stdin(monkeypatch, CODE)
    assert run(["-", "--span", ZERO, "-o", "text"]) == 0
    assert capfdbinary.readouterr()[0] == FILLED


def test_stdin_is_as_good_as_its_name(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = FakeEngine([["("]])
    stdin(monkeypatch, CODE)
    assert run(["-", "--span", ZERO], broken) == 0
    assert capfd.readouterr().out.startswith("--- a/stdin\n+++ b/stdin\n")
    stdin(monkeypatch, CODE)
    assert run(["-", "--span", ZERO, "--stdin-filename", "area.py"], broken) == 1
    stdin(monkeypatch, CODE)
    assert run(["-", "--span", ZERO, "--stdin-filename", "area.py"]) == 0
    assert capfd.readouterr().out.startswith("--- a/area.py\n+++ b/area.py\n")


NOT_CONFIDENT = [
    ("it is not sure", FakeEngine([["1"]], confidence=0.2), "20% sure of its fill, and 50% are asked for"),
    ("the fill breaks the syntax", FakeEngine([["("]]), "would bring a syntax error"),
    ("the fill is empty", FakeEngine([[""]]), "is empty"),
    ("the fill is what was there", FakeEngine([["0"]]), "stands there already"),
]


@pytest.mark.parametrize(
    ("engine", "why"), [case[1:] for case in NOT_CONFIDENT], ids=[c[0] for c in NOT_CONFIDENT]
)
def test_status_1_when(file: Path, engine: FakeEngine, why: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [file, "--span", ZERO, "--min-confidence", "0.5"]
    stamp = file.stat().st_mtime_ns
    assert run([*arguments, "--write"], engine) == 1
    assert_one_sentence(capfd, why)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (CODE, stamp)
    assert run([*arguments, "--json"], engine) == 1
    answer = json.loads(capfd.readouterr().out)
    assert answer["regions"][0]["fill"] is answer["regions"][0]["confidence"] is None
    assert why in answer["alternatives"][0]["reason"]


def assert_one_sentence(capfd: pytest.CaptureFixture[str], why: str) -> None:
    out, errors = capfd.readouterr()
    assert out == ""
    assert errors.startswith("dgemma-edit: ")
    assert errors.endswith(".\n")
    assert errors.count("\n") == 1
    assert why in errors


WRONG_USE = [
    ("no span", ["area.py"], "required: --span"),
    ("no file", ["--span", "1"], "required: FILE"),
    ("an unknown option", ["area.py", "--span", "1", "--speed", "9"], "Unrecognized arguments: --speed"),
    ("an abbreviated option", ["area.py", "--span", "1", "--js"], "Unrecognized arguments: --js"),
    ("a missing file", ["nothing.py", "--span", "1"], "There is no file nothing.py"),
    ("a directory", [".", "--span", "1"], "is a directory"),
    ("a binary file", [FIXTURES / "nul_bytes.bin", "--span", "1"], "NUL byte"),
    ("invalid UTF-8", [FIXTURES / "invalid_utf8.py", "--span", "1"], "not valid utf-8"),
    ("another encoding", [FIXTURES / "shift_jis_declared.py", "--span", "1"], "encoding shift_jis"),
    ("a span outside the file", ["area.py", "--span", "1:99"], "names line 99"),
    ("END before START", ["area.py", "--span", "3:2"], "ends before it starts"),
    ("overlapping spans", ["area.py", "--span", "1:2", "--span", "2:3"], "overlap"),
    ("the same span twice", ["area.py", "--span", "2", "--span", "2"], "overlap"),
    ("an ambiguous span", ["area.py", "--span", "1:2:3"], "ambiguous"),
    ("nonsense for a span", ["area.py", "--span", "all"], "is not START:END"),
    ("no steps", ["area.py", "--span", "1", "--steps", "0"], "--steps must be at least 1, not 0"),
    ("steps that are no number", ["area.py", "--span", "1", "--steps", "x"], "Argument --steps: invalid int"),
    ("no strength", ["area.py", "--span", "1", "--strength", "0"], "--strength must be above 0"),
    ("no alternatives", ["area.py", "--span", "1", "--alternatives", "0"], "--alternatives must be between"),
    ("too much confidence", ["area.py", "--span", "1", "--min-confidence", "90"], "--min-confidence must be"),
    (
        "confidence that is no number",
        ["area.py", "--span", "1", "--min-confidence", "nan"],
        "--min-confidence",
    ),
    ("writing to stdin", ["-", "--span", "1", "--write"], "use --output text instead"),
    ("a name for a file", ["area.py", "--span", "1", "--stdin-filename", "b.py"], "only goes with -"),
    ("two outputs", ["area.py", "--span", "1", "--json", "-o", "text"], "not allowed with argument"),
    ("an unknown output", ["area.py", "--span", "1", "-o", "html"], "invalid choice: 'html'"),
]


@pytest.mark.parametrize(
    ("arguments", "why"), [case[1:] for case in WRONG_USE], ids=[c[0] for c in WRONG_USE]
)
@pytest.mark.parametrize("write", [False, True])
def test_status_2_for(
    file: Path, arguments: list[object], why: str, write: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    stamp = file.stat().st_mtime_ns
    engine = FakeEngine()
    assert run([*arguments, *(["--write"] if write else [])], engine) == 2
    assert_one_sentence(capfd, why)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (CODE, stamp)
    assert engine.loads == 0, "wrong use is told before any model is loaded"


ENGINE_FAILED = [
    ("the model cannot be loaded", FakeEngine(load_error="There is no model big."), "There is no model big."),
    ("the engine dies", FakeEngine(fails_at_step=2), "died, as it was told to."),
    ("the engine answers nonsense", FakeEngine([["1", "2"]]), "without a fill for each"),
    ("the engine stops early", FakeEngine(steps=0), "stopped before"),
]


@pytest.mark.parametrize(
    ("engine", "why"), [case[1:] for case in ENGINE_FAILED], ids=[c[0] for c in ENGINE_FAILED]
)
def test_status_3_when(file: Path, engine: FakeEngine, why: str, capfd: pytest.CaptureFixture[str]) -> None:
    stamp = file.stat().st_mtime_ns
    assert run([file, "--span", ZERO, "--write"], engine) == 3
    assert_one_sentence(capfd, why)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (CODE, stamp)


def test_a_broken_guarantee_leaves_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dgemma_lsp.text.masked.MaskedDocument.filled", lambda self, fills: self.text + "\n")
    assert run([file, "--span", ZERO, "--write"]) == 3
    assert_one_sentence(capfd, "must not")
    assert file.read_bytes() == CODE


def test_a_file_that_changes_meanwhile_is_left_alone(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def edit(*_: object) -> list[list[str]]:
        file.write_bytes(b"# mine\n")
        return [["1"]]

    assert run([file, "--span", ZERO, "--write"], FakeEngine(edit)) == 2
    assert_one_sentence(capfd, "changed while it was being filled")
    assert file.read_bytes() == b"# mine\n"


def test_a_write_protected_file_is_refused_before_the_fill(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    engine = FakeEngine()
    assert run([file, "--span", ZERO, "--write"], engine) == 2
    assert_one_sentence(capfd, "write-protected")
    assert engine.loads == 0


def test_an_interrupt_leaves_the_file(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> list[list[str]]:
        raise KeyboardInterrupt

    assert run([file, "--span", ZERO, "--write"], FakeEngine(interrupt)) == 130
    assert_one_sentence(capfd, "Interrupted.")
    assert file.read_bytes() == CODE


@pytest.mark.parametrize("instead", [None, EngineError("The model package cannot be imported.")])
def test_an_interrupt_counts_when_somebody_swallows_it(
    file: Path, instead: EngineError | None, capfd: pytest.CaptureFixture[str]
) -> None:
    def swallow(*_: object) -> list[list[str]]:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if instead:
                raise instead from None
        return [["3 * radius"]]

    assert run([file, "--span", ZERO, "--write"], FakeEngine(swallow)) == 130
    assert_one_sentence(capfd, "Interrupted.")
    assert file.read_bytes() == CODE


@pytest.mark.parametrize(("option", "said"), [("--help", "--span START:END"), ("--version", __version__)])
def test_help_and_version(option: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        edit.main([option])
    assert ended.value.code == 0
    assert said in capfd.readouterr().out


def test_help_is_quick() -> None:
    heavy = "torch transformers rich tree_sitter lsprotocol pygls"
    script = (
        "import sys, dgemma_lsp.cli.edit as edit\n"
        "try: edit.main(['--help'])\n"
        f"finally: assert not set('{heavy}'.split()) & set(sys.modules), sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


PROCESS = """
import pathlib, sys
from dgemma_lsp.cli import edit
from tests.fakes import FakeEngine

def fills(segments, present):
    pathlib.Path(sys.argv[2]).touch()
    return [["3 * radius"]]

engine = FakeEngine(fills, step_seconds=float(sys.argv[1]))
sys.exit(edit.main(sys.argv[3:], lambda model, device: engine))
"""


def start(step_seconds: float, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "TERM": "xterm-256color",
        **options.pop("env", {}),
    }
    asked = options.pop("asked", os.devnull)
    command = [sys.executable, "-c", PROCESS, str(step_seconds), str(asked), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, **options)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_control_c_ends_with_130_and_leaves_the_file(
    file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked = tmp_path_factory.mktemp("asked") / "yes"
    with start(60, file, "--span", ZERO, "--write", stderr=subprocess.PIPE, asked=asked) as process:
        while process.poll() is None and not asked.exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (130, b"", b"dgemma-edit: Interrupted.\n")
    assert (file.read_bytes(), os.listdir(file.parent)) == (CODE, ["area.py"])


def test_a_reader_that_has_seen_enough_is_no_error(file: Path) -> None:
    with start(0, file, "--span", ZERO, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


def on_terminal(file: Path, *arguments: object, **environment: str) -> tuple[bytes, bytes]:
    """What stdout, a pipe, and stderr, a terminal, got."""
    pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
    ours, theirs = pty.openpty()
    with start(0.01, file.name, "--span", ZERO, *arguments, stderr=theirs, env=environment) as process:
        os.close(theirs)
        assert process.stdout is not None
        out = process.stdout.read()
    shown = b""
    # Linux ends the reading of a terminal that nobody writes to with an error, others with nothing.
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass
    os.close(ours)
    return out, shown


def test_a_terminal_sees_the_canvas_resolve_and_stdout_does_not(file: Path) -> None:
    out, shown = on_terminal(file)
    assert out.startswith(b"--- a/area.py")
    assert b"\x1b" not in out
    for step in (b"step 1", b"step 2", b"step 3"):
        assert step in shown
    assert b"\x1b[2;32m??????\x1b[0m" in shown, "an unsettled slot is dim"
    assert b"\x1b[32mradius\x1b[0m" in shown, "a settled slot is plain green"


def test_no_color_is_respected(file: Path) -> None:
    _, shown = on_terminal(file, NO_COLOR="1")
    assert b"step 3" in shown
    assert b"[32m" not in shown
    assert b";32m" not in shown


@pytest.mark.parametrize("arguments", [["--no-live"], ["--no-live", "--json"]])
def test_no_live_is_respected(file: Path, arguments: list[str]) -> None:
    assert on_terminal(file, *arguments)[1] == b""


def test_a_dumb_terminal_sees_nothing(file: Path) -> None:
    assert on_terminal(file, TERM="dumb")[1] == b""


def test_a_pipe_never_sees_the_canvas(file: Path) -> None:
    with start(0, file, "--span", ZERO, stderr=subprocess.PIPE, env={"FORCE_COLOR": "1"}) as process:
        out, errors = process.communicate()
    assert (out[:3], errors) == (b"---", b"")
