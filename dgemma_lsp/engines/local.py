"""Run the model on this machine: in a child process (`LocalEngine`), or in this one (`InProcessEngine`, for the CLI).

Knows nothing of documents, editors or settings.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from dgemma_lsp.engines.base import Cancelled, EngineError, FillCancelled
from dgemma_lsp.engines.worker_process import (
    POLL_SECONDS,
    Failures,
    WorkerEnded,
    WorkerProcess,
    check,
    exchange,
    turn,
    worker_command,
)
from dgemma_model.errors import Cancelled as ModelCancelled
from dgemma_model.errors import ModelError
from dgemma_model.protocol import Draft, EngineInfo, FillRequest, Hint, Hints, ProofreadRequest

if TYPE_CHECKING:
    from dgemma_model.worker import Filler

_Part = TypeVar("_Part", Draft, Hints)


class LocalEngine:
    """Runs the model in a child process, which is started by the first request.

    Requests from several threads are served one after the other. If the child crashes, that is reported once, and the
    next request starts another one. The child ends with this process, because its stdin closes.

    Args:
        model: directory or name of a checkpoint; None means the bundled one.
        device: "cpu", "cuda", …
        command: started instead of `worker_command`; it speaks the same lines.
    """

    def __init__(
        self, model: str | None = None, device: str = "cpu", command: Sequence[str] | None = None
    ) -> None:
        self._command = list(command) if command else worker_command(model, device)
        self._turn = threading.Lock()
        self._guard = threading.Lock()  # of _worker and _closed: close() must not wait for a turn
        self._worker: WorkerProcess | None = None
        self._closed = False
        self._failures = Failures()
        self._ids = itertools.count(1)

    def load(self) -> EngineInfo:
        """Start the child if none runs, and wait for its model."""
        with self._turn:
            return self._ready(_never).info

    def drafts(self, request: FillRequest, cancelled: Cancelled) -> Iterator[Draft]:
        """See `Engine.drafts`; an iterator that is dropped early cancels its fill."""
        return self._answers(request, Draft, cancelled)

    def hints(self, request: ProofreadRequest, cancelled: Cancelled) -> Iterator[Sequence[Hint]]:
        """See `Engine.hints`."""
        for read in self._answers(request, Hints, cancelled):
            yield read.hints

    def _answers(
        self, request: FillRequest | ProofreadRequest, kind: type[_Part], cancelled: Cancelled
    ) -> Iterator[_Part]:
        with turn(self._turn, cancelled):
            worker = self._ready(cancelled)
            try:
                yield from exchange(worker, next(self._ids), request, kind, cancelled)
            except WorkerEnded as ended:
                raise self._buried(worker, str(ended)) from None
            self._failures.forget()

    def close(self) -> None:
        """End the child; a fill in flight gets an `EngineError`, and so does every later request."""
        with self._guard:
            self._closed = True
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def _ready(self, cancelled: Cancelled) -> WorkerProcess:
        worker = self._started()
        try:
            while not worker.has_loaded:
                check(cancelled)
                worker.await_model(POLL_SECONDS)
        except WorkerEnded as ended:
            raise self._buried(worker, str(ended)) from None
        return worker

    def _started(self) -> WorkerProcess:
        with self._guard:
            if self._closed:
                raise EngineError("The engine is closed.")
            if self._worker is not None and self._worker.has_ended(0):
                # Nobody was waiting for it, so nobody needs to hear of it; but a second one must not die in vain.
                self._failures.note(self._worker.obituary())
                self._worker = None
            if self._worker is None:
                self._failures.check()
                self._worker = WorkerProcess(self._command)
            return self._worker

    def _buried(self, worker: WorkerProcess, sentence: str) -> EngineError:
        """Give the worker up; the next request starts another one."""
        with self._guard:
            if self._closed:
                return EngineError("The engine was closed before the fill was finished.")
            self._worker = None
            self._failures.note(sentence)
        worker.close()
        return EngineError(sentence)


class InProcessEngine:
    """Runs the model in this process, for a command that fills once and ends. The first request imports torch.

    Args:
        model: directory or name of a checkpoint; None means the bundled one.
        device: "cpu", "cuda", …
    """

    def __init__(self, model: str | None = None, device: str = "cpu") -> None:
        self._model = model
        self._device = device
        self._turn = threading.Lock()
        self._filler: Filler | None = None

    def load(self) -> EngineInfo:
        """See `Engine.load`."""
        with self._turn, _model_errors():
            return self._loaded().info

    def drafts(self, request: FillRequest, cancelled: Cancelled) -> Iterator[Draft]:
        """See `Engine.drafts`."""
        with turn(self._turn, cancelled), _model_errors():
            yield from self._loaded().drafts(request, cancelled)

    def hints(self, request: ProofreadRequest, cancelled: Cancelled) -> Iterator[Sequence[Hint]]:
        """See `Engine.hints`."""
        with turn(self._turn, cancelled), _model_errors():
            yield from self._loaded().hints(request, cancelled)

    def close(self) -> None:
        """See `Engine.close`."""
        self._filler = None

    def _loaded(self) -> Filler:
        if self._filler is None:
            from dgemma_model.worker import load

            self._filler = load(self._model, self._device)
        return self._filler


@contextmanager
def _model_errors() -> Iterator[None]:
    """Turn the errors of the model package into those of an engine."""
    try:
        yield
    except ModelCancelled:
        raise FillCancelled from None
    except ModelError as error:
        raise EngineError(str(error)) from error
    except ImportError as missing:
        raise EngineError(f"The model package cannot be imported: {missing}.") from missing


def _never() -> bool:
    return False
