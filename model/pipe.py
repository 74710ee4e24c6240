"""Carry requests and answers through a pipe, one JSON object a line.

    asker  → {"id": 1, "method": "fill", "segments": ["def f(", "):\\n"], "present": ["x"], "options": {…}, …}
           → {"id": 2, "method": "proofread", "text": "…", "quiet": [[0, 9]], "spans": [[10, 25], …], …}
           → {"id": 1, "method": "cancel"}
    worker → {"event": "ready", "info": {"name": "local", …}}
           → {"event": "failed", "message": "one sentence"}     the model cannot be loaded, and the worker ends
           → {"id": 1, "event": "draft", "step": 1, "final": false, "alternatives": [[{"text": …}, …], …], …}
           → {"id": 2, "event": "hints", "done": 1, "final": false, "hints": [[start, end, replacement, confidence], …]}
           → {"id": 1, "event": "cancelled"}
           → {"id": 1, "event": "error", "message": "one sentence"}

A draft or hints with ``"final": true``, ``cancelled`` or ``error`` ends a request. A dataclass becomes an object with
its fields, and a named tuple becomes a list.

A long document hardly changes from one key to the next, and sending all of it again would take longer than much of what
is then done with it. So a `Sender` may replace a text by ``[kept, "new text", kept]``: how many characters to keep from
the beginning and from the end of the text that stood in the same place of the last such request, and what now stands
between them. A `Receiver` puts the whole text back.

This module knows nothing of torch, files or processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from typing import Any

from dgemma_model.protocol import (
    Answer,
    Cancel,
    Capabilities,
    ContextKind,
    ContextPiece,
    Draft,
    EngineInfo,
    Error,
    Failed,
    Fill,
    FillOptions,
    FillRequest,
    Hint,
    Hints,
    ProofreadRequest,
    Ready,
    Request,
    Slot,
    WasCancelled,
    unchanged_ends,
)

_SHORT = 200
"""Characters; a text shorter than this is always sent whole."""

Message = dict[str, Any]
"""A line of the pipe, decoded from JSON."""


class Method(StrEnum):
    """What is asked of a worker."""

    FILL = "fill"
    PROOFREAD = "proofread"
    CANCEL = "cancel"


class Event(StrEnum):
    """What a worker says."""

    READY = "ready"
    FAILED = "failed"
    DRAFT = "draft"
    HINTS = "hints"
    CANCELLED = "cancelled"
    ERROR = "error"


_METHODS: Mapping[type[Request], Method] = {
    FillRequest: Method.FILL,
    ProofreadRequest: Method.PROOFREAD,
    Cancel: Method.CANCEL,
}

_EVENTS: Mapping[type[Answer], Event] = {
    Ready: Event.READY,
    Failed: Event.FAILED,
    Draft: Event.DRAFT,
    Hints: Event.HINTS,
    WasCancelled: Event.CANCELLED,
    Error: Event.ERROR,
}


class Sender:
    """The asker's end of the pipe: writes requests, and of long texts only what is new."""

    def __init__(self) -> None:
        self._sent: dict[str, Sequence[str]] = {}

    def line(self, identifier: int, request: Request) -> str:
        """Write a request as a line, which must be the next one that the `Receiver` reads."""
        message = {"id": identifier, "method": _METHODS[type(request)], **_fields(request)}
        return _line(_with_texts(message, self._shortened))

    def _shortened(self, place: str, texts: Sequence[str]) -> list[Any]:
        before, self._sent[place] = self._sent.get(place, ()), texts
        known = [*before, *[""] * len(texts)]
        return [_patch(old, new) for old, new in zip(known, texts, strict=False)]


class Receiver:
    """The worker's end of the pipe: reads the lines that a `Sender` has written, in the same order."""

    def __init__(self) -> None:
        self._received: dict[str, list[str]] = {}

    def read(self, line: str) -> tuple[int, Request | Error]:
        """Read the id and the request of a line. An impossible request comes as the answer that it gets."""
        message = json.loads(line)
        identifier, method = message.pop("id"), message.pop("method")
        message = _with_texts(message, self._restored)
        try:
            return identifier, _REQUESTS[Method(method)](message)
        except ValueError as error:
            return identifier, Error(str(error))
        except (KeyError, TypeError) as error:
            return identifier, Error(f"The request cannot be read: {error!r}.")

    def _restored(self, place: str, texts: Sequence[Any]) -> list[str]:
        before = self._received.get(place, [])
        self._received[place] = [
            text if isinstance(text, str) else _patched(before[index], *text)
            for index, text in enumerate(texts)
        ]
        return self._received[place]


def answer_line(answer: Answer, identifier: int | None = None) -> str:
    """Write an answer as a line; the id is that of its request."""
    address = {} if identifier is None else {"id": identifier}
    return _line({**address, "event": _EVENTS[type(answer)], **_fields(answer)})


def read_answer(line: str | bytes) -> tuple[int | None, Answer] | None:
    """Read the id and the answer of a line; return None if a library has printed the line.

    Raises:
        ValueError: the answer cannot be read; the message is one sentence for the user.
    """
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if not isinstance(message, dict) or "event" not in message:
        return None
    identifier, said = message.pop("id", None), message.pop("event")
    try:
        event = Event(said)
    except ValueError:
        raise ValueError(f"The model worker sent an unknown event, {said!r}.") from None
    try:
        return identifier, _ANSWERS[event](message)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The model worker sent an answer that cannot be read: {error!r}.") from error


def _line(message: Message) -> str:
    return json.dumps(message, default=_fields) + "\n"


def _fields(value: Any) -> Message:
    """Return the fields of a dataclass by name; the encoder asks again for those of its parts."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _fill_request(message: Message) -> FillRequest:
    return FillRequest(
        **message
        | {
            "segments": tuple(message["segments"]),
            "present": tuple(message["present"]),
            "options": FillOptions(**message["options"]),
            "context": tuple(map(_context_piece, message.get("context", ()))),
        }
    )


def _context_piece(message: Message) -> ContextPiece:
    return ContextPiece(**message | {"kind": ContextKind(message["kind"])})


def _proofread_request(message: Message) -> ProofreadRequest:
    return ProofreadRequest(
        **message | {"quiet": _ranges(message["quiet"]), "spans": _ranges(message["spans"])}
    )


def _ranges(pairs: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((start, end) for start, end in pairs)


def _ready(message: Message) -> Ready:
    info = message["info"]
    can = info["capabilities"]
    capabilities = Capabilities(**can | {"languages": tuple(can["languages"])})
    return Ready(EngineInfo(**info | {"capabilities": capabilities}))


def _draft(message: Message) -> Draft:
    alternatives = tuple(tuple(map(_fill, regions)) for regions in message["alternatives"])
    return Draft(**message | {"alternatives": alternatives})


def _fill(message: Message) -> Fill:
    return Fill(**message | {"slots": tuple(Slot(*slot) for slot in message["slots"])})


def _hints(message: Message) -> Hints:
    return Hints(**message | {"hints": tuple(Hint(*hint) for hint in message["hints"])})


_REQUESTS: Mapping[Method, Callable[[Message], Request]] = {
    Method.FILL: _fill_request,
    Method.PROOFREAD: _proofread_request,
    Method.CANCEL: lambda _: Cancel(),
}

_ANSWERS: Mapping[Event, Callable[[Message], Answer]] = {
    Event.READY: _ready,
    Event.FAILED: lambda message: Failed(**message),
    Event.DRAFT: _draft,
    Event.HINTS: _hints,
    Event.CANCELLED: lambda _: WasCancelled(),
    Event.ERROR: lambda message: Error(**message),
}


# Patches


def _with_texts(message: Message, change: Callable[[str, Sequence[Any]], list[Any]]) -> Message:
    """Replace the texts in each place of a request by what ``change`` makes of them."""
    changed = dict(message)
    if "segments" in message:
        changed["segments"] = change("segments", message["segments"])
    if "context" in message:
        pieces = [piece if isinstance(piece, dict) else _fields(piece) for piece in message["context"]]
        texts = change("context", [piece["text"] for piece in pieces])
        changed["context"] = [piece | {"text": text} for piece, text in zip(pieces, texts, strict=True)]
    if "text" in message:
        (changed["text"],) = change("text", [message["text"]])
    return changed


def _patch(before: str, after: str) -> str | tuple[int, str, int]:
    """Return what leads from one text to another, or the whole text if it is short or all new."""
    if len(after) < _SHORT:
        return after
    head, tail = unchanged_ends(before, after)
    return (head, after[head : len(after) - tail], tail) if head or tail else after


def _patched(before: str, head: int, new: str, tail: int) -> str:
    return before[:head] + new + before[len(before) - tail :]
