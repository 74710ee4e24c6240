"""The arguments of ``dgemma-edit``: which there are, and what they ask for once they have been checked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NoReturn

from dgemma_lsp import __version__
from dgemma_lsp.fill.pipeline import Gate
from dgemma_model.protocol import FillOptions

STDIN = "-"
"""The FILE that stands for standard input."""

EPILOG = """\
START and END are each a line, line:column or @byte. Lines and columns are counted from 1,
bytes from 0. A column or byte as END is exclusive; a line as END is included.
  --span 12           line 12           --span 10:12      lines 10 to 12
  --span 3:5:3:9      columns 5 to 8    --span @40:@52    bytes 40 to 51
  --span 3:5:3:5      between columns   --span @40        between bytes

exit status:
  0 filled   1 nothing confident enough   2 wrong use   3 the engine failed
"""


class UsageError(Exception):
    """The command was used wrongly; the message is one sentence for the user."""


class Output(Enum):
    """What is printed on stdout."""

    DIFF = "diff"
    TEXT = "text"
    JSON = "json"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Command:
    """A checked command line.

    Attributes:
        path: the file, or None for standard input.
        name: what the text is called in messages and in the diff's header; its suffix tells the language.
        spans: the regions as the user wrote them.
        options: how the engine denoises.
        gate: what a fill must pass.
        model: a checkpoint's folder or name, or None for the bundled one.
        device: where the model runs.
        output: what is printed.
        write: whether the file is replaced.
        live: whether the canvas is shown on the terminal.
    """

    path: Path | None
    name: str
    spans: tuple[str, ...]
    options: FillOptions
    gate: Gate
    model: str | None
    device: str
    output: Output
    write: bool
    live: bool


def parse(argv: Sequence[str] | None) -> Command:
    """Read and check a command line; None stands for that of the process.

    Raises:
        UsageError: the arguments make no sense, alone or together.
    """
    arguments = _parser().parse_args(argv)
    from_stdin = arguments.file == STDIN
    if from_stdin and arguments.write:
        raise UsageError("Standard input cannot be edited in place; use --output text instead of --write.")
    if arguments.stdin_filename and not from_stdin:
        raise UsageError("--stdin-filename only goes with - for FILE.")
    return Command(
        path=None if from_stdin else Path(arguments.file),
        name=arguments.stdin_filename or arguments.file,
        spans=tuple(arguments.span),
        gate=_gate(arguments),
        options=_options(arguments),
        model=arguments.model,
        device=arguments.device,
        output=_output(arguments),
        write=arguments.write,
        live=arguments.live,
    )


def _options(arguments: argparse.Namespace) -> FillOptions:
    try:
        return FillOptions(arguments.steps, arguments.seed, arguments.strength, arguments.alternatives)
    except ValueError as error:
        raise UsageError(f"--{error}") from error


def _gate(arguments: argparse.Namespace) -> Gate:
    try:
        return Gate(arguments.min_confidence)
    except ValueError as error:
        raise UsageError(f"--{str(error).replace('min_confidence', 'min-confidence')}") from error


def _output(arguments: argparse.Namespace) -> Output:
    if arguments.output is not None:
        return Output(arguments.output)
    return Output.NOTHING if arguments.write else Output.DIFF


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, like every other error of the command."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:].rstrip('.')}; see dgemma-edit --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dgemma-edit",
        description="Fill regions of a file, all of them at once, and print the change as a unified diff.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="the file to fill; - reads standard input")
    parser.add_argument(
        "--span",
        metavar="START:END",
        action="append",
        required=True,
        help="a region to fill; can be given several times (see below)",
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
    printed = group.add_mutually_exclusive_group()
    printed.add_argument(
        "-o",
        "--output",
        choices=[output.value for output in (Output.DIFF, Output.TEXT, Output.JSON)],
        help="print a unified diff (default), the whole filled text, or JSON",
    )
    printed.add_argument(
        "--json",
        dest="output",
        action="store_const",
        const=Output.JSON.value,
        help="the same as --output json",
    )
    group.add_argument(
        "--stdin-filename", metavar="NAME", help="with -: the name of the text, which tells its language"
    )
    group.add_argument(
        "--no-live", dest="live", action="store_false", help="do not show the canvas on the terminal"
    )


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    defaults, gate = FillOptions(), Gate()
    group = parser.add_argument_group("how to fill")
    group.add_argument(
        "--steps",
        type=int,
        default=defaults.steps,
        metavar="N",
        help="at most N denoising steps (%(default)s)",
    )
    group.add_argument(
        "--seed", type=int, default=defaults.seed, metavar="N", help="the random seed (%(default)s)"
    )
    group.add_argument(
        "--strength",
        type=float,
        default=defaults.strength,
        metavar="X",
        help="1 forgets the regions' present text, lower values keep more of it (%(default)s)",
    )
    group.add_argument(
        "--alternatives",
        type=int,
        default=defaults.alternatives,
        metavar="N",
        help="denoise N fills side by side and take the best (%(default)s)",
    )
    group.add_argument(
        "--min-confidence",
        type=float,
        default=gate.min_confidence,
        metavar="X",
        help="reject a fill that the model is less sure of than X, 0 to 1 (%(default)s)",
    )
    group.add_argument("--model", metavar="NAME", help="a checkpoint's folder or name (the bundled one)")
    group.add_argument("--device", default="cpu", help="where the model runs, cpu or cuda (%(default)s)")
