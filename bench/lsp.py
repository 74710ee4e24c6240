"""The part of an editor that a measurement needs. No thread reads ahead: messages are read when they are awaited."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from tools.drivers import wire
from tools.drivers.wire import Message


class Client:
    """Talks to one server; not to be shared by threads."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=environment)
        self._ids = itertools.count(1)
        self._version = 0

    def initialize(self, options: Mapping[str, Any]) -> None:
        capabilities: Message = {"textDocument": {"inlineCompletion": {}}}
        params = {
            "processId": None,
            "rootUri": None,
            "capabilities": capabilities,
            "initializationOptions": options,
        }
        self.ask("initialize", params)
        self.notify("initialized", {})

    def await_model(self) -> None:
        """Wait until the server's log says that the model is ready."""
        while True:
            message = self._receive()
            said = (message.get("params") or {}).get("message", "")
            if message.get("method") == "window/logMessage" and "is ready" in said:
                return
            assert message.get("method") != "window/showMessage", said

    def show(self, uri: str, text: str) -> None:
        """Open a document, or replace the text of one that is open."""
        self._version += 1
        if self._version == 1:
            item = {"uri": uri, "languageId": "python", "version": 1, "text": text}
            self.notify("textDocument/didOpen", {"textDocument": item})
        else:
            document = {"uri": uri, "version": self._version}
            changes = [{"text": text}]
            self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def reopen(self, uri: str, text: str) -> None:
        """Close a document, so that the server forgets it, open it again, and wait until the server has done so."""
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        self._version = 0
        self.show(uri, text)
        self.complete("file:///bench/not_open.py", 0, 0, False)

    def insert(self, uri: str, line: int, character: int, text: str) -> None:
        """Insert a text, as if it were typed."""
        self._version += 1
        position = {"line": line, "character": character}
        change = {"range": {"start": position, "end": position}, "text": text}
        document = {"uri": uri, "version": self._version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    def complete(self, uri: str, line: int, character: int, asked: bool) -> list[Message]:
        params = {
            "textDocument": {"uri": uri},
            "position": {"line": line, "character": character},
            "context": {"triggerKind": 1 if asked else 2},
        }
        items: list[Message] = self.ask("textDocument/inlineCompletion", params)["items"]
        return items

    def ask(self, method: str, params: object) -> Any:
        """Send a request and return its result; what the server says in between is ignored."""
        request = next(self._ids)
        self._send({"id": request, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == request and "method" not in message:
                return message["result"]

    def notify(self, method: str, params: object) -> None:
        self._send({"method": method, "params": params})

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _send(self, message: Message) -> None:
        assert self.process.stdin is not None
        wire.write(self.process.stdin, message)

    def _receive(self) -> Message:
        assert self.process.stdout is not None
        message = wire.read(self.process.stdout)
        if message is None:
            raise EOFError("The server has closed its output.")
        return message
