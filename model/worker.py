"""Serve fills over stdin and stdout, one JSON object a line, until stdin closes.

A process of its own keeps torch out of whatever asks for fills: the asker's event loop never waits for it, and a
crash or an out-of-memory kill takes down this process only. The lines:

    asker  → {"id": 1, "method": "fill", "segments": ["def f(", "):\n"], "present": ["x"],
              "options": {"steps": 4, "seed": 0, "strength": 1.0, "alternatives": 1, "single_line": true}}
           → {"id": 2, "method": "proofread", "text": "…", "quiet": [[0, 9]], "spans": [[10, 25], …]}
           → {"id": 1, "method": "cancel"}
    worker → {"event": "ready", "info": {"name": "local", "model": …, "parameters": …, "device": …, "dtype": …}}
           → {"event": "failed", "message": "one sentence"}           the model could not be loaded; the process ends
           → {"id": 1, "event": "draft", "step": 1, "final": false, "alternatives": [[{"text", "confidence",
              "complete", "slots": [[text, confidence, settled], …]}, …one a region], …], "encoded_tokens": …,
              "prompt_tokens": …, "milliseconds": …}
           → {"id": 2, "event": "hints", "done": 1, "final": false, "hints": [[start, end, replacement, confidence], …]}
           → {"id": 1, "event": "cancelled"}
           → {"id": 1, "event": "error", "message": "one sentence"}

A draft or hints with ``"final": true``, ``cancelled`` or ``error`` ends a request. Of a segment, a text in the option
``context`` and a ``text`` only what is new since the last request may be sent; see `received`.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import torch

from dgemma_model.errors import Cancelled, ModelError
from dgemma_model.fill.infiller import Draft, FillOptions, Infiller
from dgemma_model.fill.proofread import Page, proofread
from dgemma_model.layouts.infill import MaskedText
from dgemma_model.received import Received

Message = dict[str, Any]


class FillService:
    """Fills requests of the protocol above, one after the other."""

    def __init__(self, infiller: Infiller, device: str) -> None:
        self._infiller = infiller
        self.info: Message = {
            "name": "local",
            "model": infiller.path.name if infiller.path.name != "checkpoint" else "bundled",
            "parameters": infiller.parameters,
            "device": device,
            "dtype": str(infiller.runner.dtype).removeprefix("torch."),
        }

    @classmethod
    def load(cls, model: str | None, device: str, threads: int | None = None) -> FillService:
        """Load a checkpoint folder, the bundled one for None; `ModelError` where that fails.

        Args:
            threads: of torch. One core is left to the editor by default: with as many threads as cores, each step
                waits for the one thread that something else holds up, and takes ten times as long or more.
        """
        if threads or "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(threads or max(1, (os.cpu_count() or 2) - 1))
        return cls(Infiller.load(Path(model) if model else None, device), device)

    def fill(self, request: Message, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """The ``draft`` lines of a ``fill`` request, without its id.

        Raises:
            Cancelled: ``cancelled`` answered True.
            ModelError: the request cannot be filled.
        """
        masked = MaskedText(tuple(request["segments"]), tuple(request["present"]))
        for draft in self._infiller.drafts(masked, FillOptions(**request["options"]), cancelled):
            yield _draft(draft)

    def proofread(self, request: Message, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """The ``hints`` lines of a ``proofread`` request, without its id: one for each span.

        Raises:
            Cancelled: ``cancelled`` answered True.
        """
        page = Page(request["text"], [(start, end) for start, end in request["quiet"]])
        spans = [(start, end) for start, end in request["spans"]]
        for done, hints in enumerate(proofread(self._infiller, page, spans, cancelled), 1):
            found = [[hint.start, hint.end, hint.replacement, hint.confidence] for hint in hints]
            yield {"event": "hints", "done": done, "final": done == len(spans), "hints": found}

    def warm_up(self) -> None:
        """Make the first request as fast as the later ones."""
        self._infiller.warm_up()

    def anticipate(self, request: Message, idle: Callable[[], bool]) -> None:
        """Prepare for the keystrokes that may follow a request, as long as nobody waits."""
        if request["options"]["strength"] >= 1:
            masked = MaskedText(tuple(request["segments"]), tuple(request["present"]))
            self._infiller.anticipate(masked, idle)


def _draft(draft: Draft) -> Message:
    return {
        "event": "draft",
        "step": draft.step,
        "final": draft.final,
        "alternatives": [
            [
                {
                    "text": fill.text,
                    "confidence": fill.confidence,
                    "complete": fill.complete,
                    "slots": fill.slots,
                }
                for fill in fills
            ]
            for fills in draft.alternatives
        ],
        "encoded_tokens": draft.encoded_tokens,
        "prompt_tokens": draft.prompt_tokens,
        "milliseconds": draft.milliseconds,
    }


class _Inbox:
    """Lines from the asker, read by a thread of its own, so that a cancellation is seen while a step runs."""

    def __init__(self, lines: TextIO) -> None:
        self.requests: queue.Queue[Message | None] = queue.Queue()
        self._cancelled: set[int] = set()
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def cancelled(self, identifier: int) -> bool:
        """Whether this request was cancelled, or nobody is there any more to read the answer."""
        with self._lock:
            return self._ended or identifier in self._cancelled

    def forget(self, identifier: int) -> None:
        """The request has ended; its cancellation says nothing any more."""
        with self._lock:
            self._cancelled.discard(identifier)

    def _read(self, lines: TextIO) -> None:
        received = Received()
        for line in lines:
            message = json.loads(line)
            if message["method"] == "cancel":
                with self._lock:
                    self._cancelled.add(message["id"])
            else:
                received.restore(message)
                self.requests.put(message)
        with self._lock:
            self._ended = True
        self.requests.put(None)


def serve(service: FillService, lines: TextIO, out: TextIO) -> None:
    """Answer requests until ``lines`` ends."""
    inbox = _Inbox(lines)
    _write(out, {"event": "ready", "info": service.info})
    if inbox.requests.empty():
        service.warm_up()
    while (request := inbox.requests.get()) is not None:
        identifier = request["id"]
        event = None
        for message in _answers(service, request, inbox):
            _write(out, {"id": identifier, **message})
            event = message["event"]
        inbox.forget(identifier)
        if event != "error" and request["method"] == "fill":
            service.anticipate(request, inbox.requests.empty)


def _answers(service: FillService, request: Message, inbox: _Inbox) -> Iterator[Message]:
    work = service.proofread if request["method"] == "proofread" else service.fill
    try:
        yield from work(request, lambda: inbox.cancelled(request["id"]))
    except Cancelled:
        yield {"event": "cancelled"}
    except ModelError as error:
        yield {"event": "error", "message": str(error)}
    except Exception as error:  # noqa: BLE001 - a defect must not take the worker down: the asker is told
        sys.excepthook(type(error), error, error.__traceback__)
        yield {
            "event": "error",
            "message": f"The model failed on this request ({type(error).__name__}: {error}).",
        }


def _write(out: TextIO, message: Message) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


def main() -> int:
    """Command line of the worker process."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.worker", description=__doc__)
    parser.add_argument("--model", help="checkpoint folder; the bundled one by default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of torch; by default one core is left free")
    arguments = parser.parse_args()
    out, sys.stdout = sys.stdout, sys.stderr  # what a library prints must not break the protocol
    try:
        service = FillService.load(arguments.model, arguments.device, arguments.threads)
    except ModelError as error:
        _write(out, {"event": "failed", "message": str(error)})
        return 1
    serve(service, sys.stdin, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
