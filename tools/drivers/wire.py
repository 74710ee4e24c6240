"""Reads and writes LSP messages: JSON-RPC bodies after a header with their length."""

from __future__ import annotations

import json
from typing import IO, Any

Message = dict[str, Any]


def write(stream: IO[bytes], message: Message) -> None:
    """Send a message; the ``jsonrpc`` member is added."""
    write_frame(stream, json.dumps({"jsonrpc": "2.0", **message}).encode())


def write_frame(stream: IO[bytes], body: bytes) -> None:
    """Send any bytes as the body of a message."""
    stream.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    stream.flush()


def read(stream: IO[bytes]) -> Message | None:
    """Read the next message; None when the stream has ended."""
    length = 0
    while line := stream.readline():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        elif not line.strip():
            message: Message = json.loads(stream.read(length))
            return message
    return None
