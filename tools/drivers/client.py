"""A client for a real server process that keeps every message in the order of arrival."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from tools.drivers import wire
from tools.drivers.fake_worker import FAKE_WORKER
from tools.drivers.wire import Message

TIMEOUT_SECONDS = 15.0

CAPABILITIES: Message = {
    "general": {"positionEncodings": ["utf-16"]},
    "window": {"workDoneProgress": True},
    "workspace": {"workspaceEdit": {"documentChanges": True}},
    "textDocument": {
        "inlineCompletion": {},
        "codeAction": {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}},
    },
}


class ResponseError(Exception):
    """The server answered a request with an error."""

    def __init__(self, error: Message) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.message: str = error["message"]


class Client:
    """Starts a server, and reads what it sends in a thread.

    Attributes:
        received: all messages so far, in order.
        answers: results for the server's own requests, by method; all others are answered with null.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        pipe = subprocess.PIPE
        variables = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=variables)
        self.received: list[Message] = []
        self.answers: dict[str, Any] = {}
        self._arrived = threading.Condition()
        self._ids = itertools.count(1)
        self._stderr: list[bytes] = []
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._spawn(self._read_messages, self.process.stdout)
        self._spawn(self._stderr.extend, self.process.stderr)

    @property
    def stderr(self) -> str:
        return b"".join(self._stderr).decode()

    def request(self, method: str, params: Any = None) -> int:
        """Send a request and return its id; `answer` waits for the response."""
        request_id = next(self._ids)
        self.send({"id": request_id, "method": method, "params": params})
        return request_id

    def answer(self, request_id: int) -> Any:
        """Wait for the result of a request.

        Raises:
            ResponseError: the server answered with an error.
        """
        response = self.wait_for(lambda message: message.get("id") == request_id and "method" not in message)
        if "error" in response:
            raise ResponseError(response["error"])
        return response["result"]

    def ask(self, method: str, params: Any = None) -> Any:
        return self.answer(self.request(method, params))

    def notify(self, method: str, params: Any = None) -> None:
        self.send({"method": method, "params": params})

    def send(self, message: Message) -> None:
        assert self.process.stdin
        wire.write(self.process.stdin, message)

    def wait_for(self, wanted: Callable[[Message], bool]) -> Message:
        """Wait for the first message that is wanted; it may have arrived already."""
        with self._arrived:
            found = self._arrived.wait_for(lambda: self._first(wanted), TIMEOUT_SECONDS)
            assert found, f"no such message among {self.received}, stderr: {self.stderr}"
            return found

    def notifications(self, method: str) -> list[Any]:
        """Return the parameters of all messages with this method so far."""
        return [message["params"] for message in tuple(self.received) if message.get("method") == method]

    def wait_for_notification(self, method: str, wanted: Callable[[Any], bool] = lambda params: True) -> Any:
        """Wait for the first notification with this method that is wanted, and return its parameters."""
        found = self.wait_for(lambda message: message.get("method") == method and wanted(message["params"]))
        return found["params"]

    def wait_for_message(self, method: str, part: str) -> str:
        """Wait for a window/showMessage or window/logMessage that contains ``part``, and return its text."""
        found = self.wait_for_notification(method, lambda params: part in params["message"])
        return str(found["message"])

    def initialize(
        self,
        capabilities: Message = CAPABILITIES,
        options: Any = None,
        process_id: int | None = None,
        root_uri: str | None = None,
        folders: Sequence[str] = (),
    ) -> Any:
        params = {
            "processId": process_id,
            "rootUri": root_uri,
            "workspaceFolders": [{"uri": uri, "name": uri.rpartition("/")[2]} for uri in folders] or None,
            "capabilities": capabilities,
            "initializationOptions": options,
        }
        result = self.ask("initialize", params)
        self.notify("initialized", {})
        return result

    def open(
        self, text: str, uri: str = "file:///src/a.py", version: int = 1, language: str = "python"
    ) -> str:
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
        return uri

    def change(self, uri: str, version: int, *changes: Message) -> None:
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": list(changes)})

    def request_completion(self, uri: str, line: int, character: int, asked: bool = False) -> int:
        params = {
            "textDocument": {"uri": uri},
            "position": {"line": line, "character": character},
            "context": {"triggerKind": 1 if asked else 2},
        }
        return self.request("textDocument/inlineCompletion", params)

    def complete(self, uri: str, line: int, character: int, asked: bool = False) -> list[Message]:
        items: list[Message] = self.answer(self.request_completion(uri, line, character, asked))["items"]
        return items

    def cancel(self, request_id: int) -> None:
        self.notify("$/cancelRequest", {"id": request_id})

    def shut_down(self) -> int:
        """Shut the server down in the right order, and return its exit status."""
        self.ask("shutdown")
        self.notify("exit")
        return self.process.wait(TIMEOUT_SECONDS)

    def close(self) -> None:
        """End the process, whatever state it is in."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def _first(self, wanted: Callable[[Message], bool]) -> Message | None:
        return next((message for message in self.received if wanted(message)), None)

    def _read_messages(self, stream: IO[bytes]) -> None:
        while (message := wire.read(stream)) is not None:
            self._take(message)

    def _take(self, message: Message) -> None:
        # An editor agrees to whatever the server asks for.
        if "method" in message and "id" in message:
            self.send({"id": message["id"], "result": self.answers.get(message["method"])})
        with self._arrived:
            self.received.append(message)
            self._arrived.notify_all()

    @staticmethod
    def _spawn(target: Callable[[IO[bytes]], Any], stream: IO[bytes]) -> None:
        threading.Thread(target=target, args=(stream,), daemon=True).start()


def server_command(*worker_arguments: str, options: Sequence[str] = ()) -> list[str]:
    """Return the command line of a server with the fake worker."""
    worker = shlex.join([sys.executable, str(FAKE_WORKER), *worker_arguments])
    return [sys.executable, "-m", "dgemma_lsp.cli.main", "--stdio", "--worker-command", worker, *options]


def instructed_server_command() -> list[str]:
    """Return the command line of a server whose model follows instructions word for word."""
    return server_command("--follows-instructions")


def fake(**answer: Any) -> str:
    """Return a line for the end of a document that tells the fake worker what to answer there."""
    return f"# fake: {json.dumps(answer)}"


def applied(text: str, item: Message, encoding: str = "utf-16") -> str:
    """Apply an inline completion or a text edit to a text; positions count in the editor's units."""
    new = item["newText"] if "newText" in item else item["insertText"]
    lines = text.split("\n")
    start, end = (_offset(lines, item["range"][end], encoding) for end in ("start", "end"))
    return text[:start] + str(new) + text[end:]


def _offset(lines: list[str], position: Message, encoding: str) -> int:
    line = lines[position["line"]]
    size = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    codec = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding]
    before = line.encode(codec)[: position["character"] * size].decode(codec)
    return sum(len(one) + 1 for one in lines[: position["line"]]) + len(before)
