"""The wire: messages of JSON-RPC over the pipes of a language server, read only when somebody waits for one."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.drivers import wire
from tools.drivers.wire import Message

SECONDS = 240
"""After so long a server is ended, so that nobody waits for it for ever."""


class Client:
    """Speaks to one server process.

    Args:
        command: starts the server.
        folder: where it runs.
        environment: its variables.
        answers: results for what the server asks, by method; everything else is answered with null.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        answers: Mapping[str, Any],
    ) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
        self._answers = answers
        self._ids = itertools.count(1)
        self._told: list[Message] = []
        self._watchdog = threading.Timer(SECONDS, self.process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    def ask(self, method: str, params: object = None) -> Message:
        """Send a request and return the response, with either ``result`` or ``error``."""
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == number and "method" not in message:
                return message

    def notify(self, method: str, params: object = None) -> None:
        self._send({"method": method, "params": params})

    def wait(self, wanted: Callable[[Message], bool]) -> None:
        """Read until the server says something that is wanted."""
        while not wanted(self._receive()):
            pass

    def take_told(self) -> list[Message]:
        """Everything that the server has said by itself and that was not taken yet, in order."""
        told, self._told = self._told, []
        return told

    def end(self) -> int:
        """Close the pipes and return the exit status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        status = self.process.wait()
        self._watchdog.cancel()
        return status

    def _send(self, message: Message) -> None:
        assert self.process.stdin is not None
        wire.write(self.process.stdin, message)

    def _receive(self) -> Message:
        message = self._read()
        if "method" in message:
            self._told.append({"method": message["method"], "params": message.get("params")})
            if "id" in message:
                self._send({"id": message["id"], "result": self._answers.get(message["method"])})
        return message

    def _read(self) -> Message:
        assert self.process.stdout is not None
        message = wire.read(self.process.stdout)
        if message is None:
            raise EOFError("The server has ended, or was ended because it did not answer.")
        return message
