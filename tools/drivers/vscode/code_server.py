"""Starts code-server, which is VS Code's server, with the extension installed from its package."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tools.drivers.processes import command_line, in_session
from tools.drivers.vscode.installed import CODE_SERVER, NODE, run
from tools.drivers.waiting import wait_until

SETTINGS: Mapping[str, Any] = {
    "workbench.startupEditor": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.tips.enabled": False,
    "workbench.layoutControl.enabled": False,
    "window.commandCenter": False,
    "security.workspace.trust.enabled": False,
    "telemetry.telemetryLevel": "off",
    "chat.disableAIFeatures": True,
    "extensions.autoUpdate": False,
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "update.mode": "none",
    "git.enabled": False,
    "files.autoSave": "off",
    # In some places the list of words would come before the ghost text.
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.suggestOnTriggerCharacters": False,
    "editor.wordBasedSuggestions": "off",
    "editor.parameterHints.enabled": False,
    # The text is exactly what was typed.
    "editor.autoIndent": "none",
    "editor.autoClosingBrackets": "never",
    "editor.autoClosingQuotes": "never",
    "editor.cursorBlinking": "solid",
    "editor.minimap.enabled": False,
}


class CodeServer:
    """A running code-server; `Window` opens windows of it."""

    def __init__(self, folder: Path, package: Path, path: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.port = free_port()
        self._options = [f"--user-data-dir={folder / 'data'}", f"--extensions-dir={folder / 'extensions'}"]
        self.configure({})
        # VS Code asks a login shell for the PATH, and a login shell starts with a PATH of its own.
        found = os.pathsep.join([*map(str, path), os.environ["PATH"]])
        (folder / ".profile").write_text(f"export PATH={shlex.quote(found)}\n")
        run([NODE, CODE_SERVER, *self._options, "--install-extension", package])
        log = (folder / "code-server.log").open("wb")
        address = f"--bind-addr=127.0.0.1:{self.port}"
        quiet = ["--disable-telemetry", "--disable-update-check", "--reconnection-grace-time=5"]
        self.process = subprocess.Popen(
            [NODE, CODE_SERVER, *self._options, "--auth=none", address, *quiet],
            env={**os.environ, "PATH": found, "HOME": str(folder), "SHELL": "/bin/bash"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write the user's settings; open windows follow."""
        path = self.folder / "data" / "User" / "settings.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**SETTINGS, **settings}, indent=1))

    def await_start(self) -> None:
        wait_until(self._answers, "code-server does not answer")

    def children(self, words: str) -> list[int]:
        """Return the server's processes whose command line contains these words."""
        return [process for process in in_session(self.process.pid) if words in command_line(process)]

    def close(self) -> None:
        for insist in (signal.SIGTERM, signal.SIGKILL):
            for process in in_session(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(process, insist)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=1):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
