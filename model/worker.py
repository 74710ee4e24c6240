"""Answer requests over stdin and stdout until stdin closes; `pipe` tells what the lines look like.

A process of its own keeps torch out of the program that asks: its event loop never waits for torch, and a crash or an
out-of-memory kill takes down only this process.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from dgemma_model.errors import Cancelled, ModelError
from dgemma_model.fill.filler import Filler, load_filler
from dgemma_model.pipe import Receiver, answer_line
from dgemma_model.protocol import (
    Answer,
    Cancel,
    Error,
    Failed,
    FillRequest,
    Hints,
    ProofreadRequest,
    Ready,
    WasCancelled,
)

__all__ = ["Filler", "load", "main", "serve"]

Work = FillRequest | ProofreadRequest | Error
"""What is to be answered; an impossible request is its own answer."""


def load(model: str | None, device: str, threads: int | None = None) -> Filler:
    """Load a checkpoint, and whatever fills with it.

    Args:
        model: the checkpoint's folder; None for the bundled one.
        device: "cpu", "cuda", …
        threads: of the network. One core is left to the editor by default: with as many threads as cores, each step
            waits for the one thread that something else holds up, and takes ten times as long or more.

    Raises:
        ModelError: it cannot be loaded.
    """
    if not threads and "OMP_NUM_THREADS" not in os.environ:
        threads = max(1, (os.cpu_count() or 2) - 1)
    return load_filler(Path(model) if model else None, device, threads)


class _Inbox:
    """Reads requests in a thread of its own, so that a cancellation is seen while a step runs.

    Attributes:
        work: what is to be answered, with its id; None when there is nobody left to ask.
    """

    def __init__(self, lines: TextIO) -> None:
        self.work: queue.Queue[tuple[int, Work] | None] = queue.Queue()
        self._cancelled: set[int] = set()
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def cancelled(self, identifier: int) -> bool:
        """Tell whether this request was cancelled, or nobody is left to read the answer."""
        with self._lock:
            return self._ended or identifier in self._cancelled

    def forget(self, identifier: int) -> None:
        """Forget the cancellation of a request that has ended."""
        with self._lock:
            self._cancelled.discard(identifier)

    def _read(self, lines: TextIO) -> None:
        receiver = Receiver()
        for line in lines:
            identifier, request = receiver.read(line)
            if isinstance(request, Cancel):
                with self._lock:
                    self._cancelled.add(identifier)
            else:
                self.work.put((identifier, request))
        with self._lock:
            self._ended = True
        self.work.put(None)


def serve(filler: Filler, lines: TextIO, out: TextIO) -> None:
    """Answer requests until ``lines`` ends."""
    inbox = _Inbox(lines)
    _write(out, Ready(filler.info))
    if inbox.work.empty():
        filler.warm_up()
    while (asked := inbox.work.get()) is not None:
        identifier, request = asked
        answer: Answer | None = None
        for answer in _answers(filler, request, _cancellation(inbox, identifier)):
            _write(out, answer, identifier)
        inbox.forget(identifier)
        if isinstance(request, FillRequest) and not isinstance(answer, Error):
            filler.anticipate(request, inbox.work.empty)


def _cancellation(inbox: _Inbox, identifier: int) -> Callable[[], bool]:
    return lambda: inbox.cancelled(identifier)


def _answers(filler: Filler, request: Work, cancelled: Callable[[], bool]) -> Iterator[Answer]:
    try:
        yield from _answered(filler, request, cancelled)
    except Cancelled:
        yield WasCancelled()
    except ModelError as error:
        yield Error(str(error))
    except Exception as error:  # noqa: BLE001 - a defect must not take the worker down: the asker is told
        sys.excepthook(type(error), error, error.__traceback__)
        yield Error(f"The model failed on this request ({type(error).__name__}: {error}).")


def _answered(filler: Filler, request: Work, cancelled: Callable[[], bool]) -> Iterator[Answer]:
    match request:
        case FillRequest():
            yield from filler.drafts(request, cancelled)
        case ProofreadRequest():
            for done, hints in enumerate(filler.hints(request, cancelled), 1):
                yield Hints(done, done == len(request.spans), hints)
        case Error():
            yield request


def _write(out: TextIO, answer: Answer, identifier: int | None = None) -> None:
    out.write(answer_line(answer, identifier))
    out.flush()


def main() -> int:
    """Run the worker's command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.worker", description=__doc__)
    parser.add_argument("--model", help="checkpoint folder; the bundled one by default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of the network; by default one core is left free")
    arguments = parser.parse_args()
    out, sys.stdout = sys.stdout, sys.stderr  # what a library prints must not break the protocol
    try:
        filler = load(arguments.model, arguments.device, arguments.threads)
    except ModelError as error:
        _write(out, Failed(str(error)))
        return 1
    serve(filler, sys.stdin, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
