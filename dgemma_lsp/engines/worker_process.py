"""Run a model worker as a child process: start it, talk to it, and say in one sentence how it ended.

The child keeps torch out of a server's process, and a crash or an out-of-memory kill ends only the child. It runs
`dgemma_model.worker`; `dgemma_model.pipe` tells what crosses the pipe.
"""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from dgemma_lsp.engines.base import Cancelled, EngineError, FillCancelled
from dgemma_model.pipe import Sender, read_answer
from dgemma_model.protocol import (
    Answer,
    Cancel,
    Draft,
    EngineInfo,
    Error,
    Failed,
    FillRequest,
    Hints,
    ProofreadRequest,
    Ready,
    Request,
    WasCancelled,
)

POLL_SECONDS = 0.01
"""How long it may take until a cancellation is noticed."""

GRACE_SECONDS = 1.0
"""How long a child may take to end by itself before it is made to end."""

LONGEST_PAUSE_SECONDS = 60.0
"""The longest pause between two attempts to start a child that fails again and again."""

_STDERR_LINES = 40

_SIGKILL = 9

_Addressed = tuple[int | None, Answer]
"""An answer, and the id of its request if it has one."""

_Part = TypeVar("_Part", Draft, Hints)
"""The answers to one kind of request."""


def worker_command(model: str | None, device: str) -> list[str]:
    """Return the command line of a worker process."""
    # -P: the current folder is the user's project, whose files must not be imported in place of modules.
    command = [sys.executable, "-P", "-m", "dgemma_model.worker", "--device", device]
    return command if model is None else [*command, "--model", model]


class WorkerEnded(Exception):
    """The worker can no longer serve; the message is one sentence for the user."""


class WorkerProcess:
    """One child process. Its answers arrive in a queue, in order; None stands for the end of its output."""

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        # Windows would open a console for the child of a server that has none.
        flags: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        try:
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, creationflags=flags
            )
        except OSError as error:
            raise EngineError(f"The model worker cannot be started: {error}.") from error
        self._writing = threading.Lock()
        self._sender = Sender()
        self._answers: queue.SimpleQueue[_Addressed | ValueError | None] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._info: EngineInfo | None = None
        self._errors_reader = threading.Thread(target=self._read_stderr, daemon=True)
        self._errors_reader.start()
        threading.Thread(target=self._read_stdout, daemon=True).start()

    @property
    def has_loaded(self) -> bool:
        return self._info is not None

    @property
    def info(self) -> EngineInfo:
        assert self._info is not None, "asked before the model was loaded"
        return self._info

    def await_model(self, seconds: float) -> None:
        """Wait until the model is loaded, but at most ``seconds``; raise `WorkerEnded` if loading failed."""
        match self.receive(seconds):
            case (_, Failed(message)):
                raise WorkerEnded(message)
            case (_, Ready(info)):
                self._info = info

    def send(self, identifier: int, request: Request) -> None:
        """Write one line. A worker that has ended cannot be written to; the next `receive` will say so."""
        assert self._process.stdin is not None
        with self._writing, suppress(OSError, ValueError):
            self._process.stdin.write(self._sender.line(identifier, request).encode())
            self._process.stdin.flush()

    def receive(self, seconds: float) -> _Addressed | None:
        """Return the next answer, or None if none comes within ``seconds``; raise `WorkerEnded` after the last one."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        if answer is None:
            self._answers.put(None)  # it stays at its end
            raise WorkerEnded(self.obituary())
        if isinstance(answer, ValueError):
            raise WorkerEnded(str(answer)) from answer
        return answer

    def has_ended(self, seconds: float) -> bool:
        """Tell whether the process ends within ``seconds``."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is not None

    def obituary(self) -> str:
        """Say in one sentence for the user how it ended."""
        if not self.has_ended(GRACE_SECONDS):
            return "The model worker closed its output without a word; it is started again when it is needed."
        self._errors_reader.join(GRACE_SECONDS)
        return f"The model worker {self._end()}; it is started again when it is needed."

    def close(self) -> None:
        """Close the worker's stdin, which asks it to end; if it does not, terminate it, then kill it."""
        # A write that is stuck in a full pipe holds the lock, and closing the pipe would wait for it too.
        if self._writing.acquire(timeout=GRACE_SECONDS):
            try:
                self._close_stdin()
            finally:
                self._writing.release()
        for insist in (self._process.terminate, self._process.kill):
            if self.has_ended(GRACE_SECONDS):
                return
            insist()
        self._process.wait()

    def _close_stdin(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def _read_stdout(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                answer = read_answer(line)
            except ValueError as error:
                self._answers.put(error)
                continue
            if answer is not None:
                self._answers.put(answer)
            else:  # some library printed it; it may explain what happens next
                self._stderr.append(line.decode(errors="replace").strip())
        self._answers.put(None)

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._stderr.append(line.decode(errors="replace").strip())

    def _end(self) -> str:
        status = self._process.returncode
        if status < 0:
            hint = ", perhaps because the memory ran out" if -status == _SIGKILL else ""
            return f"was killed by {_signal_name(-status)}{hint}"
        last_words = next((line for line in reversed(self._stderr) if line), "")
        return f"ended with exit status {status}" + (f" ({last_words})" if last_words else "")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Failures:
    """How often workers ended since the last fill, and when the next one may be started.

    The first crash may be an accident: the next request starts a worker at once. After that every failure doubles the
    pause, so that typing doesn't start a process that dies at each keystroke.
    """

    def __init__(self) -> None:
        self._count = 0
        self._sentence = ""
        self._not_before = 0.0

    def note(self, sentence: str) -> None:
        self._count += 1
        self._sentence = sentence
        pause = 0.0 if self._count == 1 else min(2.0 ** (self._count - 2), LONGEST_PAUSE_SECONDS)
        self._not_before = time.monotonic() + pause

    def forget(self) -> None:
        self._count = 0

    def check(self) -> None:
        """Raise the last failure again while its pause lasts."""
        if self._count and time.monotonic() < self._not_before:
            raise EngineError(self._sentence)


def exchange(
    worker: WorkerProcess,
    identifier: int,
    request: FillRequest | ProofreadRequest,
    kind: type[_Part],
    cancelled: Cancelled,
) -> Iterator[_Part]:
    """Send a request and yield its answers; if the caller leaves before the last one, tell the worker to stop.

    Args:
        worker: a worker whose model is loaded.
        identifier: of the request; no other request to this worker has it.
        request: what to ask.
        kind: the type of its answers.
        cancelled: asked while waiting.
    """
    worker.send(identifier, request)
    is_open = True
    try:
        while is_open:
            answer = _answer(worker, identifier, cancelled)
            is_open = isinstance(answer, kind) and not answer.final
            yield _checked(answer, kind)
    finally:
        if is_open:
            worker.send(identifier, Cancel())


def _answer(worker: WorkerProcess, identifier: int, cancelled: Cancelled) -> Answer:
    while True:
        check(cancelled)
        received = worker.receive(POLL_SECONDS)
        # Requests that were cancelled may go on talking for a step.
        if received is not None and received[0] == identifier:
            return received[1]


def _checked(answer: Answer, kind: type[_Part]) -> _Part:
    match answer:
        case WasCancelled():
            raise FillCancelled
        case Error(message):
            raise EngineError(message)
    if isinstance(answer, kind):
        return answer
    raise WorkerEnded(f"The model worker answered with {type(answer).__name__} in place of {kind.__name__}.")


@contextmanager
def turn(lock: threading.Lock, cancelled: Cancelled) -> Iterator[None]:
    """Hold a lock; waiting for it can be cancelled."""
    while not lock.acquire(timeout=POLL_SECONDS):
        check(cancelled)
    try:
        yield
    finally:
        lock.release()


def check(cancelled: Cancelled) -> None:
    """Raise `FillCancelled` if the request is no longer wanted."""
    if cancelled():
        raise FillCancelled
