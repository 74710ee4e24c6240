"""The model on this machine: in a child process (`LocalEngine`), or in this one (`InProcessEngine`, for the CLI).

The child speaks the lines that dgemma_model.worker describes. It keeps torch out of a server's process: a crash or an
out-of-memory kill ends the child only, is reported in one sentence, and the next request starts another child.

Knows nothing of documents, editors or settings.
"""

from __future__ import annotations

import itertools
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from dgemma_lsp.engines.base import (
    Cancelled,
    Draft,
    EngineError,
    EngineInfo,
    FillCancelled,
    FillOptions,
    Hint,
    Page,
    draft_from_json,
)
from dgemma_lsp.text.lines import Edit

if TYPE_CHECKING:
    from dgemma_model.worker import FillService

POLL_SECONDS = 0.01
"""A cancellation is noticed this late at most."""

GRACE_SECONDS = 1.0
"""How long a child may take to end by itself before it is made to."""

LONGEST_PAUSE_SECONDS = 60.0
"""Between two attempts to start a child that fails again and again."""

_STDERR_LINES = 40

_SHORT = 200
"""Characters of a text that is sent as it is."""

Message = dict[str, Any]

_T = TypeVar("_T")


def worker_command(model: str | None, device: str) -> list[str]:
    """The command line of a worker process."""
    # -P: the current folder is the user's project, whose files must not be imported in place of modules.
    command = [sys.executable, "-P", "-m", "dgemma_model.worker", "--device", device]
    return command if model is None else [*command, "--model", model]


class LocalEngine:
    """Runs the model in a child process, which is started by the first request.

    Requests of several threads are served one after the other. The child ends with this process: its stdin closes.

    Args:
        model: directory or name of a checkpoint; None means the bundled one.
        device: "cpu", "cuda", …
        command: started in place of `worker_command`; it speaks the same lines.
    """

    def __init__(
        self, model: str | None = None, device: str = "cpu", command: Sequence[str] | None = None
    ) -> None:
        self._command = list(command) if command else worker_command(model, device)
        self._turn = threading.Lock()
        self._guard = threading.Lock()  # of _worker and _closed: close() must not wait for a turn
        self._worker: _Worker | None = None
        self._closed = False
        self._failures = _Failures()
        self._ids = itertools.count(1)

    def load(self) -> EngineInfo:
        """Start the child if none runs, and wait for its model."""
        with _turn(self._turn, _never):
            return self._ready(_never).info

    def drafts(
        self, segments: tuple[str, ...], present: tuple[str, ...], options: FillOptions, cancelled: Cancelled
    ) -> Iterator[Draft]:
        """See `Engine.drafts`; an iterator that is dropped early cancels its fill."""
        request = {"method": "fill", **_request(segments, present, options)}
        return self._answers(request, "draft", draft_from_json, cancelled)

    def hints(self, page: Page, cancelled: Cancelled) -> Iterator[list[Hint]]:
        """See `Engine.hints`."""
        return self._answers({"method": "proofread", **_page(page)}, "hints", _hints, cancelled)

    def _answers(
        self, request: Message, event: str, read: Callable[[Message], _T], cancelled: Cancelled
    ) -> Iterator[_T]:
        with _turn(self._turn, cancelled):
            worker = self._ready(cancelled)
            try:
                for answer in _exchange(worker, {"id": next(self._ids), **request}, event, cancelled):
                    yield _read(answer, read)
            except _WorkerEnded as ended:
                raise self._buried(worker, str(ended)) from None
            self._failures.forget()

    def close(self) -> None:
        """End the child; a fill in flight gets an `EngineError`, and so does every later request."""
        with self._guard:
            self._closed = True
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def _ready(self, cancelled: Cancelled) -> _Worker:
        worker = self._started()
        try:
            while not worker.has_loaded:
                _check(cancelled)
                worker.await_model(POLL_SECONDS)
        except _WorkerEnded as ended:
            raise self._buried(worker, str(ended)) from None
        return worker

    def _started(self) -> _Worker:
        with self._guard:
            if self._closed:
                raise EngineError("The engine is closed.")
            if self._worker is not None and self._worker.has_ended(0):
                # Nobody was waiting for it, so nobody needs to hear of it; but a second one must not die in vain.
                self._failures.note(self._worker.obituary())
                self._worker = None
            if self._worker is None:
                self._failures.check()
                self._worker = _Worker(self._command)
            return self._worker

    def _buried(self, worker: _Worker, sentence: str) -> EngineError:
        """Give the worker up; the next request starts another one."""
        with self._guard:
            if self._closed:
                return EngineError("The engine was closed before the fill was finished.")
            self._worker = None
            self._failures.note(sentence)
        worker.close()
        return EngineError(sentence)


class InProcessEngine:
    """Runs the model in this process: for a command that fills once and ends. torch is imported by the first request.

    Args:
        model: directory or name of a checkpoint; None means the bundled one.
        device: "cpu", "cuda", …
    """

    def __init__(self, model: str | None = None, device: str = "cpu") -> None:
        self._model = model
        self._device = device
        self._turn = threading.Lock()
        self._service: FillService | None = None

    def load(self) -> EngineInfo:
        with self._turn, _model_errors():
            return _info(self._loaded().info)

    def drafts(
        self, segments: tuple[str, ...], present: tuple[str, ...], options: FillOptions, cancelled: Cancelled
    ) -> Iterator[Draft]:
        """See `Engine.drafts`."""
        with _turn(self._turn, cancelled), _model_errors():
            for message in self._loaded().fill(_request(segments, present, options), cancelled):
                yield draft_from_json(message)

    def hints(self, page: Page, cancelled: Cancelled) -> Iterator[list[Hint]]:
        """See `Engine.hints`."""
        with _turn(self._turn, cancelled), _model_errors():
            for message in self._loaded().proofread(_page(page), cancelled):
                yield _hints(message)

    def close(self) -> None:
        self._service = None

    def _loaded(self) -> FillService:
        if self._service is None:
            from dgemma_model.worker import FillService

            self._service = FillService.load(self._model, self._device)
        return self._service


@contextmanager
def _model_errors() -> Iterator[None]:
    """The errors of the model package as those of an engine."""
    try:
        from dgemma_model.errors import Cancelled as ModelCancelled
        from dgemma_model.errors import ModelError

        try:
            yield
        except ModelCancelled:
            raise FillCancelled from None
        except ModelError as error:
            raise EngineError(str(error)) from error
    except ImportError as missing:
        raise EngineError(f"The model package cannot be imported: {missing}.") from missing


class _WorkerEnded(Exception):
    """The worker can serve no longer; the message is one sentence for the user."""


class _Worker:
    """One child process. Its messages arrive in a queue, in their order; None stands for the end of its output."""

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
        self._sent = _Sent()
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
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
        """Wait for the ready line, but not longer than ``seconds``; `_WorkerEnded` when loading failed."""
        message = self.receive(seconds)
        if message is None:
            return
        if message.get("event") == "failed":
            raise _WorkerEnded(str(message.get("message", "The model could not be loaded.")))
        if message.get("event") == "ready":
            self._info = _info(message["info"])

    def send(self, message: Message) -> None:
        """Write one line. A worker that has ended cannot be written to; the next `receive` will say so."""
        line = json.dumps(self._sent.shortened(message)).encode() + b"\n"
        assert self._process.stdin is not None
        with self._writing, suppress(OSError, ValueError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def receive(self, seconds: float) -> Message | None:
        """The next message, or None when none comes within ``seconds``; `_WorkerEnded` after the last one."""
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            return None
        if message is None:
            self._messages.put(None)  # it stays at its end
            raise _WorkerEnded(self.obituary())
        return message

    def has_ended(self, seconds: float) -> bool:
        """Whether the process ends within ``seconds``."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is not None

    def obituary(self) -> str:
        """How it ended, as a sentence for the user."""
        if not self.has_ended(GRACE_SECONDS):
            return "The model worker closed its output without a word; it is started again when it is needed."
        self._errors_reader.join(GRACE_SECONDS)
        return f"The model worker {self._end()}; it is started again when it is needed."

    def close(self) -> None:
        """Close the worker's stdin, which asks it to end; terminate it, then kill it when it does not."""
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
                message = json.loads(line)
            except ValueError:
                message = None
            if isinstance(message, dict):
                self._messages.put(message)
            else:  # some library printed it; it may explain what happens next
                self._stderr.append(line.decode(errors="replace").strip())
        self._messages.put(None)

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


class _Sent:
    """The texts that a worker has been sent last; see dgemma_model.received for what it need not be sent again."""

    def __init__(self) -> None:
        self._last: dict[str, Sequence[str]] = {}

    def shortened(self, message: Message) -> Message:
        """A message for this worker, which must then be the next one that it gets."""
        if "segments" in message:
            options = message["options"]
            context = self._new("context", options["context"])
            segments = self._new("segments", message["segments"])
            return {**message, "segments": segments, "options": {**options, "context": context}}
        if "text" in message:
            return {**message, "text": self._new("text", [message["text"]])[0]}
        return message

    def _new(self, name: str, texts: Sequence[str]) -> list[Any]:
        last, self._last[name] = self._last.get(name, ()), texts
        known = [*last[: len(texts)], *[""] * (len(texts) - len(last))]
        return [_new_text(before, text) for before, text in zip(known, texts, strict=True)]


def _new_text(before: str, text: str) -> str | list[Any]:
    if len(text) < _SHORT:
        return text
    edit = Edit.between(before, text)
    new = text[edit.start : edit.start + edit.length]
    return text if len(new) == len(text) else [edit.start, new, len(before) - edit.end]


_SIGKILL = 9


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class _Failures:
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


def _exchange(worker: _Worker, request: Message, event: str, cancelled: Cancelled) -> Iterator[Message]:
    """Send a request and yield its answers; when it is left before the last one, the worker is told to stop."""
    worker.send(request)
    open_ = True
    try:
        while open_:
            answer = _answer(worker, request["id"], cancelled)
            open_ = answer.get("event") == event and not answer.get("final")
            yield _checked(answer, event)
    finally:
        if open_:
            worker.send({"id": request["id"], "method": "cancel"})


def _answer(worker: _Worker, request_id: int, cancelled: Cancelled) -> Message:
    while True:
        _check(cancelled)
        message = worker.receive(POLL_SECONDS)
        # Requests that were cancelled may go on talking for a step.
        if message is not None and message.get("id") == request_id:
            return message


def _read(answer: Message, read: Callable[[Message], _T]) -> _T:
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise _WorkerEnded(f"The model worker sent an answer that cannot be read: {error!r}.") from error


def _checked(answer: Message, wanted: str) -> Message:
    match answer.get("event"):
        case event if event == wanted:
            return answer
        case "cancelled":
            raise FillCancelled
        case "error":
            raise EngineError(str(answer.get("message", "The fill failed.")))
        case event:
            raise _WorkerEnded(f"The model worker sent an unknown event, {event!r}.")


def _hints(message: Message) -> list[Hint]:
    return [Hint(start, end, text, sure) for start, end, text, sure in message["hints"]]


def _page(page: Page) -> Message:
    return {"text": page.text, "quiet": page.quiet, "spans": page.spans}


def _request(segments: tuple[str, ...], present: tuple[str, ...], options: FillOptions) -> Message:
    return {
        "segments": list(segments),
        "present": list(present),
        "options": {
            "steps": options.steps,
            "seed": options.seed,
            "strength": options.strength,
            "alternatives": options.alternatives,
            "single_line": options.single_line,
            "context": list(options.context),
        },
    }


def _info(message: Message) -> EngineInfo:
    return EngineInfo(
        name=message["name"],
        model=message["model"],
        parameters=message["parameters"],
        device=message["device"],
        dtype=message["dtype"],
    )


@contextmanager
def _turn(lock: threading.Lock, cancelled: Cancelled) -> Iterator[None]:
    """Hold the lock; waiting for it can be cancelled."""
    while not lock.acquire(timeout=POLL_SECONDS):
        _check(cancelled)
    try:
        yield
    finally:
        lock.release()


def _check(cancelled: Cancelled) -> None:
    if cancelled():
        raise FillCancelled


def _never() -> bool:
    return False
