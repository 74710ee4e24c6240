"""Drives a real Neovim over its own protocol, msgpack-rpc: keys go in, and what it would draw comes out."""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tools.drivers.neovim.screen import HEIGHT, WIDTH, Screen

TIMEOUT_SECONDS = 30.0


class EditorError(Exception):
    """Neovim answered a request with an error."""


class Editor:
    """A Neovim process. It keeps running while it is asked what it shows."""

    def __init__(self, command: Sequence[str], msgpack: ModuleType, environment: Mapping[str, str]) -> None:
        self._msgpack = msgpack
        self._ids = itertools.count(1)
        self._answers: dict[int, tuple[Any, Any]] = {}
        self._changed = threading.Condition()
        self._screen = Screen()
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env={**os.environ, **environment})
        threading.Thread(target=self._listen, daemon=True).start()
        self.ask("nvim_ui_attach", WIDTH, HEIGHT, {"rgb": True, "ext_linegrid": True, "ext_hlstate": True})

    # What a user does

    def type(self, keys: str) -> None:
        """Type keys; special ones are named as in Neovim's maps: ``<Esc>``."""
        self.ask("nvim_input", keys)

    def command(self, command: str) -> None:
        self.ask("nvim_command", command)

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.ask("nvim_exec_lua", code, list(arguments))

    # What a user sees

    @property
    def screen(self) -> str:
        with self._changed:
            return self._screen.text

    @property
    def line(self) -> str:
        """The cursor's row as it is drawn."""
        with self._changed:
            return self._screen.line

    def shows(self, *groups: str) -> bool:
        """Whether anything on the screen is drawn with one of these highlight groups."""
        with self._changed:
            return self._screen.shows(*groups)

    def keep(self, path: Path, title: str | None = None) -> None:
        """Save what is on the screen as text and as a picture; its title is the path's name if none is given."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._changed:
            Path(f"{path}.txt").write_text(self._screen.text + "\n", "utf-8")
            Path(f"{path}.svg").write_text(self._screen.picture(title or path.name), "utf-8")

    @property
    def lines(self) -> list[str]:
        """The lines of the buffer, without what is only drawn."""
        return [str(line) for line in self.ask("nvim_buf_get_lines", 0, 0, -1, True)]

    @property
    def cursor(self) -> tuple[int, int]:
        row, column = self.ask("nvim_win_get_cursor", 0)
        return row, column

    @property
    def mode(self) -> str:
        return str(self.ask("nvim_get_mode")["mode"])

    def wait_for_screen(self, part: str) -> None:
        self.wait(lambda: part in self.screen, f"{part!r} on the screen")

    def wait_until_gone(self, part: str) -> None:
        self.wait(lambda: part not in self.screen, f"{part!r} gone from the screen")

    def wait_for_lines(self, lines: Sequence[str]) -> None:
        self.wait(lambda: self.lines == list(lines), f"the text {lines!r}, not {self.lines!r}")

    def wait_for_lua(self, expression: str) -> None:
        self.wait(lambda: bool(self.lua(f"return {expression}")), expression)

    def wait_for_preview(self) -> None:
        """Wait until there is a preview to accept or reject; the screen does not tell it from a draft."""
        self.wait_for_lua("require('dgemma.preview').is_open(vim.api.nvim_get_current_buf())")

    def wait_for_server(self) -> None:
        """Wait until the server is ready for the buffer."""
        clients = "vim.lsp.get_clients({ bufnr = 0, name = 'dgemma' })"
        self.wait_for_lua(f"#{clients} == 1 and {clients}[1].initialized")

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        assert self.comes(holds), f"waited in vain for {what}\n{self.screen}"

    def comes(self, holds: Callable[[], bool], seconds: float = TIMEOUT_SECONDS) -> bool:
        """Check after every change of the screen until something holds; False when it does not hold in time."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            with self._changed:
                self._changed.wait(0.02)
        return True

    def settle(self, seconds: float) -> None:
        """Let time pass, for a test that something does not happen."""
        time.sleep(seconds)
        self.ask("nvim_eval", "1")

    # The protocol

    def ask(self, method: str, *arguments: Any) -> Any:
        number = next(self._ids)
        assert self.process.stdin
        self.process.stdin.write(self._msgpack.packb([0, number, method, arguments]))
        self.process.stdin.flush()
        with self._changed:
            answered = self._changed.wait_for(lambda: number in self._answers, TIMEOUT_SECONDS)
            assert answered, f"Neovim does not answer {method}{arguments}"
            error, result = self._answers.pop(number)
        if error:
            raise EditorError(error)
        return result

    def close(self) -> None:
        """End the process, whatever state it is in; its server ends with it."""
        try:
            assert self.process.stdin
            message = [2, "nvim_command", ["qall!"]]
            self.process.stdin.write(self._msgpack.packb(message))
            self.process.stdin.flush()
            self.process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()

    def _listen(self) -> None:
        assert self.process.stdout
        unpacker = self._msgpack.Unpacker(raw=False, unicode_errors="surrogateescape", strict_map_key=False)
        while chunk := os.read(self.process.stdout.fileno(), 1 << 16):
            unpacker.feed(chunk)
            for message in unpacker:
                self._take(message)

    def _take(self, message: list[Any]) -> None:
        with self._changed:
            if message[0] == 1:
                self._answers[message[1]] = (message[2], message[3])
            elif message[0] == 2 and message[1] == "redraw":
                for name, *calls in message[2]:
                    for arguments in calls:
                        self._screen.take(name, arguments)
            self._changed.notify_all()
