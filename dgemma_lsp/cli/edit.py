"""``dgemma-edit``: fill regions of a file from the command line.

Exit status: 0 filled · 1 nothing confident enough (stderr says why) · 2 wrong use, or a file that cannot be read or
written · 3 the engine failed · 130 interrupted. Whenever it is not 0, the file stays as it was.

``--output`` chooses what is printed: ``diff`` (the default; for ``git apply`` or ``patch -p1``), ``text`` (the whole
filled file, in its own encoding and line endings) or ``json``. With ``--write`` nothing is printed unless asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from dgemma_lsp.cli import edit_arguments, interrupts, live, spans, textfile
from dgemma_lsp.cli.edit_answer import Answer, printed, printed_refusal, summary
from dgemma_lsp.cli.edit_arguments import Command, UsageError
from dgemma_lsp.cli.exit_status import ExitStatus
from dgemma_lsp.engines.base import Cancelled, Engine, EngineError, FillCancelled
from dgemma_lsp.fill import pipeline
from dgemma_lsp.text.guarantee import GuaranteeBroken, apply_fills
from dgemma_lsp.text.masked import MaskedDocument, RegionError
from dgemma_model.protocol import Draft, EngineInfo

EngineFactory = Callable[[str | None, str], Engine]
"""Makes an engine from a model (None for the bundled one) and a device."""


def main(argv: Sequence[str] | None = None, engine_factory: EngineFactory | None = None) -> int:
    """Run ``dgemma-edit`` and return its exit status.

    Args:
        argv: the arguments; None takes those of the process.
        engine_factory: none runs the model in this process.
    """
    try:
        return _run(edit_arguments.parse(argv), engine_factory or _local_engine)
    except (UsageError, RegionError, textfile.FileError) as error:
        return _fail(ExitStatus.WRONG_USE, error)
    except (EngineError, GuaranteeBroken) as error:
        return _fail(ExitStatus.ENGINE_FAILED, error)
    except (KeyboardInterrupt, FillCancelled):
        return _fail(ExitStatus.INTERRUPTED, "Interrupted.")
    except BrokenPipeError:
        return _stdout_closed()


def _run(command: Command, engine_factory: EngineFactory) -> int:
    file = _read(command)
    regions = spans.parse_spans(command.spans, file)
    document = MaskedDocument(file.text, regions, command.name, "python" if file.is_python else None)
    with interrupts.noticed() as interrupted:
        draft, engine = _fill(document, command, engine_factory, interrupted)
    outcome = pipeline.outcome(document, draft, replace(command.gate, encoding=file.encoding))
    answer = Answer(command, file, document, outcome, engine)
    if (best := outcome.best) is None:
        _print(printed_refusal(answer))
        return _fail(ExitStatus.NOT_CONFIDENT, outcome.candidates[0].reason)
    text = apply_fills(document, best.texts)
    filled = file.encode(text)
    if command.write and command.path is not None:
        textfile.write(command.path, file, text)
        _say(summary(command, outcome, best))
    _print(printed(answer, filled))
    return ExitStatus.DONE


def _read(command: Command) -> textfile.TextFile:
    if command.path is None:
        return textfile.decode(sys.stdin.buffer.read(textfile.MAX_BYTES + 1), command.name)
    file = textfile.read(command.path)
    if command.write:
        textfile.check_writable(command.path)
    return file


def _fill(
    document: MaskedDocument, command: Command, engine_factory: EngineFactory, cancelled: Cancelled
) -> tuple[Draft, EngineInfo]:
    """Load the engine and denoise to the end, while the terminal shows the canvas."""
    engine = engine_factory(command.model, command.device)
    try:
        with live.view(document, command.live) as view:
            with view.loading():
                info = engine.load()
            # There is at least one draft: `pipeline.drafts` raises otherwise.
            for draft in pipeline.drafts(document, engine, command.options, cancelled):
                view.show(draft)
            return draft, info
    finally:
        engine.close()


def _local_engine(model: str | None, device: str) -> Engine:
    from dgemma_lsp.engines.local import InProcessEngine

    return InProcessEngine(model, device)


def _print(raw: bytes) -> None:
    # As bytes: stdout's own encoding and newline translation must not touch a file's text.
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def _say(message: object) -> None:
    print(f"dgemma-edit: {message}", file=sys.stderr)


def _fail(status: ExitStatus, message: object) -> int:
    _say(message)
    return status


def _stdout_closed() -> int:
    # The reader (head, a pager) has seen enough. Python would complain when it flushes stdout at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitStatus.DONE


if __name__ == "__main__":
    sys.exit(main())
