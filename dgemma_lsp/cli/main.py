"""``dgemma-lsp``: the language server that an editor starts, and a few commands for people.

The server speaks over stdin and stdout. Its exit status is 0 after ``shutdown`` and ``exit``, 1 when the editor went
away without them, and 2 for wrong use.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from io import BufferedWriter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from dgemma_lsp import __version__
from dgemma_lsp.cli.exit_status import ExitStatus
from dgemma_lsp.lsp.greeting import greet
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.settings.settings import Device, Settings

if TYPE_CHECKING:
    from dgemma_lsp.engines.base import Engine


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(ExitStatus.WRONG_USE, f"{self.prog}: {message}; see {self.prog} --help.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve one editor or run a command, and return the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.command is not None:
        return int(arguments.command(arguments))
    return _serve(arguments)


def _serve(arguments: argparse.Namespace) -> int:
    # pygls would go on waiting for input, which Ctrl-C in a terminal does not close. The worker ends with this process.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    streams = None if arguments.tcp else greet(*_protocol_streams())
    from dgemma_lsp.lsp.server import build_server  # takes half a second

    server = build_server(lambda settings: _engine(settings, arguments), _preferences(arguments))
    if streams is None:
        server.start_tcp(*arguments.tcp)
    else:
        server.start_io(*streams)
    return 0 if server.shutdown_requested else 1


def _engine(settings: Settings, arguments: argparse.Namespace) -> Engine:
    from dgemma_lsp.engines.local import LocalEngine  # the answer to initialize must not wait for it

    return LocalEngine(settings.model, settings.device.value, arguments.worker_command)


def _preferences(arguments: argparse.Namespace) -> Preferences:
    chosen: dict[tuple[str, ...], object] = {}
    if arguments.model is not None:
        chosen["model",] = arguments.model
    if arguments.device is not None:
        chosen["device",] = Device(arguments.device)
    return Preferences(os.environ, chosen)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dgemma-lsp",
        description="Completes and rewrites code in an editor, with a block-diffusion model on this machine.",
        allow_abbrev=False,
    )
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--stdio", action="store_true", help="speak over stdin and stdout (default)")
    transport.add_argument(
        "--tcp", type=_address, metavar="HOST:PORT", help="listen on this address (for debugging)"
    )
    parser.add_argument("--model", help="a checkpoint's folder or name (default: the bundled one)")
    parser.add_argument(
        "--device",
        choices=[device.value for device in Device],
        help="where the model runs (default: cpu)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    # For tests, and for debugging another worker.
    parser.add_argument("--worker-command", type=shlex.split, help=argparse.SUPPRESS)
    parser.set_defaults(command=None)
    _add_commands(parser)
    return parser


def _add_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    schema = commands.add_parser("schema", help="print the settings as a JSON schema", allow_abbrev=False)
    schema.add_argument("--table", action="store_true", help="print a Markdown table instead")
    schema.set_defaults(command=_print_schema)
    doctor = commands.add_parser("doctor", help="check this machine and time a fill", allow_abbrev=False)
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(command=_examine)
    stats = commands.add_parser("stats", help="print what was shown, accepted and kept", allow_abbrev=False)
    stats.add_argument("--json", action="store_true", help="print JSON")
    stats.set_defaults(command=_print_stats)


def _print_schema(arguments: argparse.Namespace) -> int:
    from dgemma_lsp.settings.schema import as_json, settings_table

    print(settings_table() if arguments.table else as_json())
    return ExitStatus.DONE


def _examine(arguments: argparse.Namespace) -> int:
    from dgemma_lsp.cli.doctor import examine

    settings = _preferences(arguments).settings
    report = examine(_engine(settings, arguments))
    print(report.to_json() if arguments.json else "\n".join(report.lines()))
    return ExitStatus.ENGINE_FAILED if report.fill is None else ExitStatus.DONE


def _print_stats(arguments: argparse.Namespace) -> int:
    from dgemma_lsp.cli.stats import report
    from dgemma_lsp.lsp.state_folder import state_folder

    print(report(state_folder(os.environ, Path.home()), arguments.json))
    return ExitStatus.DONE


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form HOST:PORT")
    return host or "localhost", int(port)


def _protocol_streams() -> tuple[BinaryIO, BufferedWriter]:
    """Keep stdout for the protocol alone: whatever else is printed goes to stderr."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return sys.stdin.buffer, output


if __name__ == "__main__":
    sys.exit(main())
