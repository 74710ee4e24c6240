"""``dgemma-edit``: fill regions of a file from the command line.

Exit status: 0 filled · 1 nothing confident enough (stderr says why) · 2 wrong use, or a file that cannot be read or
written · 3 the engine failed · 130 interrupted. Whenever it is not 0, the file is as it was.

What is printed is chosen with ``--output``: ``diff`` (the default; for ``git apply`` or ``patch -p1``), ``text`` (the
whole filled file, in the file's own encoding and line endings), ``json``, or with ``--write`` nothing.

The shape of ``--json``, which is printed for status 0 and 1:

    {
      "file": "a.py",                      as given; "-" for stdin without --stdin-filename
      "written": false,                    true when --write replaced the file
      "steps": 6, "milliseconds": 118.2,   denoising steps taken; time in the engine without loading
      "prompt_tokens": 410, "encoded_tokens": 410,
      "engine": {"name": …, "model": …, "parameters": …, "device": …, "dtype": …},
      "regions": [                         in document order
        {"start": {"line": 3, "column": 5, "byte": 40},  line and column from 1, byte from 0
         "end": …,                         exclusive
         "present": "pass",                what stands there now
         "fill": "return x",               null when nothing was accepted
         "confidence": 0.93}               0..1; null when nothing was accepted
      ],
      "alternatives": [                    accepted ones first; "fills" has one text a region
        {"fills": ["return x"], "confidences": [0.93],
         "rejection": null,                or "low confidence", "unparseable", …
         "reason": ""}                     one sentence
      ]
    }
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum, IntEnum
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from dgemma_lsp import __version__
from dgemma_lsp.cli import live, spans, textfile
from dgemma_lsp.engines.base import (
    Cancelled,
    Draft,
    Engine,
    EngineError,
    EngineInfo,
    FillCancelled,
    FillOptions,
)
from dgemma_lsp.fill import pipeline
from dgemma_lsp.text import edits
from dgemma_lsp.text.masked import MaskedDocument, RegionError

EngineFactory = Callable[[str | None, str], Engine]
"""Makes an engine from a model (None: the bundled one) and a device."""


class Status(IntEnum):
    """Exit statuses."""

    FILLED = 0
    NOT_CONFIDENT = 1
    WRONG_USE = 2
    ENGINE_FAILED = 3
    INTERRUPTED = 130


class Output(Enum):
    """What is printed on stdout."""

    DIFF = "diff"
    TEXT = "text"
    JSON = "json"
    NOTHING = "nothing"


class UsageError(Exception):
    """Wrong use of the command; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, checked.

    Attributes:
        path: None for stdin.
        name: of the text, for messages, the diff's header and the language.
    """

    path: Path | None
    name: str
    spans: tuple[str, ...]
    options: FillOptions
    min_confidence: float
    model: str | None
    device: str
    output: Output
    write: bool
    live: bool


def main(argv: Sequence[str] | None = None, engine_factory: EngineFactory | None = None) -> int:
    """Run ``dgemma-edit``; the result is its exit status.

    Args:
        argv: the arguments; None takes the process's own.
        engine_factory: None runs the model in this process.
    """
    try:
        return _run(_command(argv), engine_factory or _local_engine)
    except (UsageError, RegionError, textfile.FileError) as error:
        return _fail(Status.WRONG_USE, error)
    except (EngineError, edits.GuaranteeBroken) as error:
        return _fail(Status.ENGINE_FAILED, error)
    except (KeyboardInterrupt, FillCancelled):
        return _fail(Status.INTERRUPTED, "Interrupted.")
    except BrokenPipeError:
        return _stdout_closed()


def _run(command: Command, engine_factory: EngineFactory) -> int:
    file = _read(command)
    regions = spans.parse_spans(command.spans, file)
    document = MaskedDocument(file.text, regions, command.name, "python" if file.is_python else None)
    gate = pipeline.Gate(command.min_confidence, encoding=file.encoding)
    with _interrupts() as interrupted:
        draft, info = _fill(document, command, engine_factory, interrupted)
    outcome = pipeline.outcome(document, draft, gate)
    answer = _Answer(command, file, document, outcome, info)
    if (best := outcome.best) is None:
        return _refused(answer)
    text = edits.apply_fills(document, best.texts)
    raw = file.encode(text)
    if command.write and command.path is not None:
        textfile.write(command.path, file, text)
        _say(_summary(command, outcome, best))
    _print(_printed(answer, raw))
    return Status.FILLED


@dataclass(frozen=True, slots=True)
class _Answer:
    """Everything there is to say about a fill."""

    command: Command
    file: textfile.TextFile
    document: MaskedDocument
    outcome: pipeline.Outcome
    info: EngineInfo


def _refused(answer: _Answer) -> int:
    if answer.command.output is Output.JSON:
        _print(_json(answer, written=False))
    return _fail(Status.NOT_CONFIDENT, answer.outcome.candidates[0].reason)


def _printed(answer: _Answer, raw: bytes) -> bytes:
    """What stdout gets when the fill was accepted and ``raw`` is the whole filled file."""
    match answer.command.output:
        case Output.DIFF:
            return edits.unified_diff(answer.file.raw, raw, _diff_path(answer.command.name))
        case Output.TEXT:
            return raw
        case Output.JSON:
            return _json(answer, written=answer.command.write)
        case Output.NOTHING:
            return b""


def _read(command: Command) -> textfile.TextFile:
    if command.path is None:
        return textfile.decode(sys.stdin.buffer.read(textfile.MAX_BYTES + 1), command.name)
    file = textfile.read(command.path)
    if command.write:
        textfile.check_writable(command.path)
    return file


@contextmanager
def _interrupts() -> Iterator[Cancelled]:
    """Whether Ctrl-C was pressed. It raises KeyboardInterrupt as ever, but torch may swallow that while it is imported,
    or make another error of it.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored by whoever started us
        yield lambda: False
        return
    seen = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        seen.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield seen.is_set
    except Exception:
        if seen.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _fill(
    document: MaskedDocument, command: Command, engine_factory: EngineFactory, cancelled: Cancelled
) -> tuple[Draft, EngineInfo]:
    """Load the engine and denoise to the end, in view of whoever watches."""
    engine = engine_factory(command.model, command.device)
    try:
        with live.view(document, command.live) as view:
            with view.loading():
                info = engine.load()
            # A draft comes first: `pipeline.drafts` raises when there is none.
            for draft in pipeline.drafts(document, engine, command.options, cancelled):
                view.show(draft)
            return draft, info
    finally:
        engine.close()


def _local_engine(model: str | None, device: str) -> Engine:
    from dgemma_lsp.engines.local import InProcessEngine

    return InProcessEngine(model, device)


def _json(answer: _Answer, written: bool) -> bytes:
    """The answer in the shape of the module's docstring."""
    import json

    outcome = answer.outcome
    told = {
        "file": answer.command.name,
        "written": written,
        "steps": outcome.steps,
        "milliseconds": round(outcome.milliseconds, 1),
        "prompt_tokens": outcome.prompt_tokens,
        "encoded_tokens": outcome.encoded_tokens,
        "engine": asdict(answer.info),
        "regions": [_region(answer, index) for index in range(len(answer.document.regions))],
        "alternatives": [_alternative(candidate) for candidate in outcome.candidates],
    }
    # ASCII, so that no encoding of stdout and no stray surrogate in a rejected fill can get in the way.
    return json.dumps(told, indent=2).encode("ascii") + b"\n"


def _region(answer: _Answer, index: int) -> dict[str, Any]:
    region, best = answer.document.regions[index], answer.outcome.best
    return {
        "start": _place(answer.file, region.start),
        "end": _place(answer.file, region.end),
        "present": answer.document.present[index],
        "fill": best and best.texts[index],
        "confidence": best and best.confidences[index],
    }


def _alternative(candidate: pipeline.Candidate) -> dict[str, Any]:
    return {
        "fills": candidate.texts,
        "confidences": candidate.confidences,
        "rejection": candidate.rejection and candidate.rejection.value,
        "reason": candidate.reason,
    }


def _place(file: textfile.TextFile, offset: int) -> dict[str, int]:
    line, column = spans.line_and_column(file.text, offset)
    return {"line": line, "column": column, "byte": file.byte_at(offset)}


def _summary(command: Command, outcome: pipeline.Outcome, best: pipeline.Candidate) -> str:
    regions = "1 region" if len(best.texts) == 1 else f"{len(best.texts)} regions"
    steps = "1 step" if outcome.steps == 1 else f"{outcome.steps} steps"
    return (
        f"Filled {regions} of {command.name} in {steps} and {outcome.milliseconds:.0f} ms, "
        f"{best.confidence:.0%} sure."
    )


def _diff_path(name: str) -> str:
    """Relative to the folder we are in, where the diff will most likely be applied; else to the root."""
    if name == "-":
        return "stdin"
    path, here = Path(os.path.abspath(name)), Path.cwd()
    base = here if path.is_relative_to(here) else Path(path.anchor)
    return path.relative_to(base).as_posix()


def _print(raw: bytes) -> None:
    # Bytes: stdout's own encoding and newline translation must not touch a file's text.
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def _say(message: object) -> None:
    print(f"dgemma-edit: {message}", file=sys.stderr)


def _fail(status: Status, message: object) -> int:
    _say(message)
    return status


def _stdout_closed() -> int:
    # The reader (head, a pager) has seen enough; python would complain once more when it flushes stdout at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Status.FILLED


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, like every other error of the command."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:].rstrip('.')}; see dgemma-edit --help.")


def _command(argv: Sequence[str] | None) -> Command:
    arguments = _parser().parse_args(argv)
    stdin = arguments.file == "-"
    if stdin and arguments.write:
        raise UsageError("Standard input cannot be edited in place; use --output text instead of --write.")
    if arguments.stdin_filename and not stdin:
        raise UsageError("--stdin-filename only goes with - for FILE.")
    return Command(
        path=None if stdin else Path(arguments.file),
        name=arguments.stdin_filename or arguments.file,
        spans=tuple(arguments.span),
        options=_options(arguments),
        min_confidence=arguments.min_confidence,
        model=arguments.model,
        device=arguments.device,
        output=Output(arguments.output or ("nothing" if arguments.write else "diff")),
        write=arguments.write,
        live=arguments.live,
    )


def _options(arguments: argparse.Namespace) -> FillOptions:
    try:
        pipeline.Gate(arguments.min_confidence)
        return FillOptions(arguments.steps, arguments.seed, arguments.strength, arguments.alternatives)
    except ValueError as error:
        raise UsageError(f"--{str(error).replace('min_confidence', 'min-confidence')}") from error


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dgemma-edit",
        description="Fill regions of a file, all of them at once, and print the change as a unified diff.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="the file; - reads standard input")
    parser.add_argument(
        "--span",
        metavar="START:END",
        action="append",
        required=True,
        help="a region to fill; may be given several times (see below)",
    )
    _add_output_arguments(parser)
    _add_model_arguments(parser)
    parser.add_argument("--version", action="version", version=f"dgemma-edit {__version__}")
    return parser


def _add_output_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to do with the fill")
    group.add_argument(
        "-w", "--write", action="store_true", help="edit the file in place; prints nothing unless asked to"
    )
    shown = group.add_mutually_exclusive_group()
    shown.add_argument(
        "-o",
        "--output",
        choices=["diff", "text", "json"],
        help="print a unified diff (default), the whole filled text, or JSON",
    )
    shown.add_argument(
        "--json", dest="output", action="store_const", const="json", help="the same as --output json"
    )
    group.add_argument(
        "--stdin-filename", metavar="NAME", help="with -: what the text is called; tells its language"
    )
    group.add_argument(
        "--no-live", dest="live", action="store_false", help="do not show the canvas on the terminal"
    )


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    defaults, gate = FillOptions(), pipeline.Gate()
    group = parser.add_argument_group("how to fill")
    group.add_argument(
        "--steps", type=int, default=defaults.steps, metavar="N", help="denoising steps at most (%(default)s)"
    )
    group.add_argument(
        "--seed", type=int, default=defaults.seed, metavar="N", help="of the noise (%(default)s)"
    )
    group.add_argument(
        "--strength",
        type=float,
        default=defaults.strength,
        metavar="X",
        help="1 forgets what stands in the regions, less keeps more of it (%(default)s)",
    )
    group.add_argument(
        "--alternatives",
        type=int,
        default=defaults.alternatives,
        metavar="N",
        help="fills denoised side by side; the best is taken (%(default)s)",
    )
    group.add_argument(
        "--min-confidence",
        type=float,
        default=gate.min_confidence,
        metavar="X",
        help="take no fill that the model is less sure of, 0 to 1 (%(default)s)",
    )
    group.add_argument("--model", metavar="NAME", help="a checkpoint's folder or name (the bundled one)")
    group.add_argument("--device", default="cpu", help="where the model runs, cpu or cuda (%(default)s)")


_EPILOG = """\
START and END are each a line, line:column or @byte. Lines and columns are counted from 1,
bytes from 0; a column or byte as END is exclusive, a line as END is included.
  --span 12           line 12           --span 10:12      lines 10 to 12
  --span 3:5:3:9      columns 5 to 8    --span @40:@52    bytes 40 to 51
  --span 3:5:3:5      between columns   --span @40        between bytes

exit status:
  0 filled   1 nothing confident enough   2 wrong use   3 the engine failed
"""


if __name__ == "__main__":
    sys.exit(main())
