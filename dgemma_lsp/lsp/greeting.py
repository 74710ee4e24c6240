"""The answer to ``initialize``, given before the server behind it is loaded.

Editors wait for this answer. Importing the server, most of all lsprotocol's types, takes nine tenths of the time until
then: in one run on a busy machine the answer came after 64 ms with a greeting and after 584 ms without. So `greet`
reads the first message with nothing but the standard library, and answers it. The server then reads the same message
again, and its own answer to it is held back. The server's state is the same as without a greeting, and the server deals
with the settings, the editor's process and every error.

Only an ordinary ``initialize`` is answered here; anything else is left to the server. A greeting cannot be taken back:
if the server refuses the request after all, its error is sent as well.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from dgemma_lsp import __version__
from dgemma_lsp.lsp.names import SERVER, ActionKind, CommandName

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CAPABILITIES: Mapping[str, Any] = {
    "textDocumentSync": {"openClose": True, "change": 2, "save": {"includeText": False}},  # 2: as edits
    "codeActionProvider": {
        "codeActionKinds": ["quickfix", "refactor.rewrite", ActionKind.PROOFREAD.value],
        "resolveProvider": True,
    },
    "executeCommandProvider": {"commands": [command.value for command in CommandName]},
    "inlineCompletionProvider": {},
    "workspace": {
        "workspaceFolders": {"supported": True, "changeNotifications": True},
        "fileOperations": {},
    },
}
"""What the server announces to every editor, apart from the position encoding; a test keeps the two equal."""

NOTEBOOKS: Mapping[str, Any] = {"notebookSelector": [{"notebook": "*"}]}
"""What it also announces to editors that have notebooks."""

POSITION_ENCODINGS = ("utf-8", "utf-16", "utf-32")

_CONTENT_LENGTH = re.compile(rb"Content-Length: (\d+)\r\n")

Message = dict[str, Any]


def greet(incoming: BinaryIO, outgoing: io.BufferedWriter) -> tuple[BinaryIO, BinaryIO]:
    """Answer the first message if it is ``initialize``.

    Returns:
        The streams to start the server on instead of the given ones.
    """
    read, body = _read_message(incoming)
    request = _initialize_request(body)
    if request is not None:
        with suppress(OSError):  # the editor may be gone, which the server will notice
            _send(outgoing, {"jsonrpc": "2.0", "id": request["id"], "result": _result(request["params"])})
            outgoing = _Answered(outgoing.detach(), request["id"])
    return _Resumed(read, incoming), outgoing


def _read_message(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Read up to the end of the first message, and return what was read and the body. Other lines are skipped."""
    read, length = bytearray(), 0
    while line := stream.readline():
        read += line
        if not length and (header := _CONTENT_LENGTH.fullmatch(line)):
            length = int(header[1])
        if length and not line.strip():
            body = stream.read(length)
            return bytes(read + body), body
    return bytes(read), b""


def _initialize_request(body: bytes) -> Message | None:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match message:
        case {
            "jsonrpc": "2.0",
            "id": int() | str(),
            "method": "initialize",
            "params": {"capabilities": {}},
            **others,
        } if not others:
            return dict(message)
    return None


def _result(params: Message) -> Message:
    editor = params["capabilities"]
    capabilities = {"positionEncoding": _position_encoding(editor), **CAPABILITIES}
    if isinstance(editor.get("notebookDocument"), dict):
        capabilities["notebookDocumentSync"] = NOTEBOOKS
    return {"capabilities": capabilities, "serverInfo": {"name": SERVER, "version": __version__}}


def _position_encoding(capabilities: Message) -> str:
    """Return the first encoding that the editor names and the server knows; every editor knows UTF-16."""
    match capabilities:
        case {"general": {"positionEncodings": [*offered]}}:
            return next((encoding for encoding in offered if encoding in POSITION_ENCODINGS), "utf-16")
    return "utf-16"


def _send(stream: BinaryIO, message: Message) -> None:
    body = json.dumps(message).encode()
    stream.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    stream.flush()


class _Resumed(io.BytesIO):
    """What has been read up to the end of a message, followed by the rest of the stream."""

    def __init__(self, read: bytes, rest: BinaryIO) -> None:
        super().__init__(read)
        self._rest = rest

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(size) or self._rest.readline(-1 if size is None else size)

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size) or self._rest.read(-1 if size is None else size)


class _Answered(io.BufferedWriter):
    """Holds back the result of a request that was answered before. pygls writes whole messages."""

    def __init__(self, raw: io.RawIOBase, request_id: int | str) -> None:
        super().__init__(raw)
        self._answered: int | str | None = request_id

    def write(self, message: ReadableBuffer, /) -> int:
        if self._answered is None or not _has_result(bytes(message), self._answered):
            return super().write(message)
        self._answered = None
        return len(bytes(message))


def _has_result(message: bytes, request_id: int | str) -> bool:
    content = json.loads(message.partition(b"\r\n\r\n")[2])
    return "result" in content and bool(content["id"] == request_id)
