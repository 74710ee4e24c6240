"""``python -m bench.vscode`` measures what a user of VS Code waits for, as seen on the screen.

A keystroke is timed inside the page: from the browser's key event to the first frame after ghost text was put into the
document. VS Code's own delay of 50 ms is part of it. Everything is as a user has it (the package, a server in the
project's environment, the bundled model), except that unsure suggestions are shown, too.

It needs what ``make vscode`` installs; ``--record`` also keeps the results.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, spread, table
from bench.files import LONG, RESULTS, ROOT
from bench.keystrokes import Place, places
from bench.report import introduce_machine, keep, say
from tools.drivers.vscode.code_server import CodeServer
from tools.drivers.vscode.installed import build_package, what_is_missing
from tools.drivers.vscode.window import Window, chromium
from tools.drivers.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RESULT = RESULTS / "vscode.json"

LINES = 30
"""The places in the file where something new is typed."""

STARTS = 5
"""The windows that are opened to time a cold start."""

PATIENCE_SECONDS = 5.0
"""How long to wait for ghost text after a keystroke."""

WATCH = """() => {
  const ghosts = '[class*="ghost-text"]';
  window.ghost = { pressed: 0, shown: null };
  document.addEventListener('keydown', () => { window.ghost = { pressed: performance.now(), shown: null }; }, true);
  const look = () => {
    const wait = window.ghost;
    if (wait.shown === null && document.querySelector(ghosts)) {
      wait.shown = undefined;
      requestAnimationFrame(() => requestAnimationFrame(now => { wait.shown = now; }));
    }
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true });
}"""


def main() -> int:
    arguments = _parser().parse_args()
    if missing := what_is_missing():
        say(f"Nothing can be measured: {missing}.")
        return 1
    machine = introduce_machine()
    figures = measured()
    print(table(figures))
    if arguments.record:
        keep(RESULT, machine, figures)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.vscode", description=__doc__, allow_abbrev=False)
    parser.add_argument("--record", action="store_true", help=f"write {RESULT.relative_to(ROOT)}")
    return parser


def measured() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, installed(Path(folder)) as server, chromium() as browser:
        starts = [cold_start(browser, server, Path(folder) / f"start{number}") for number in range(STARTS)]
        say("measuring: keystrokes")
        times = keystrokes(browser, server, Path(folder) / "keystrokes")
    return [
        *spread(
            "VS Code: window opened to first ghost text, cold",
            [since_opened for since_opened, _ in starts],
            "s",
        ),
        *spread(
            "VS Code: file shown to first ghost text, cold",
            [since_shown for _, since_shown in starts],
            "s",
            8,
        ),
        *spread("VS Code: keystroke to visible ghost text, 300-line file", times, "ms", 200),
        Figure("VS Code: keystrokes that no ghost text followed", 100 * (1 - len(times) / LINES), "%"),
    ]


@contextmanager
def installed(folder: Path) -> Iterator[CodeServer]:
    """Start VS Code with the extension."""
    server = CodeServer(folder / "code-server", build_package(folder / "package"))
    try:
        server.configure({"dgemma.automatic.minConfidence": 0})
        server.await_start()
        yield server
    finally:
        server.close()


def opened(browser: Browser, server: CodeServer, folder: Path) -> Window:
    folder.mkdir()
    shutil.copy(LONG, folder / "long.py")
    (folder / ".venv").symlink_to(sys.prefix)
    window = Window.open(browser, server, folder / "long.py")
    window.page.evaluate(WATCH)
    return window


def cold_start(browser: Browser, server: CodeServer, folder: Path) -> tuple[float, float]:
    """Return the seconds to the first ghost text: since the window was opened, and since it has shown the file.

    Typing starts as soon as the server answers, while it still loads the model.
    """
    say("measuring: cold start")
    begun = time.perf_counter()
    window = opened(browser, server, folder)
    shown = time.perf_counter()
    place = places(LONG.read_text("utf-8"), LINES, 1)[LINES // 2]
    cut(window, place)
    wait_until(lambda: window.status.endswith(("loading the model", "ready")), "the server does not answer")
    while not time_key(window, place.typed):
        window.press("Backspace")
    now = time.perf_counter()
    window.close()
    wait_until(lambda: not server.children("dgemma-lsp"), "the server of a closed window does not end")
    return now - begun, now - shown


def keystrokes(browser: Browser, server: CodeServer, folder: Path) -> list[float]:
    """Return the milliseconds from keystrokes to their ghost text, each in a line of its own."""
    window = opened(browser, server, folder)
    window.await_status("ready", seconds=60)
    times: list[float] = []
    for place in places(LONG.read_text("utf-8"), LINES, 1):
        cut(window, place)
        window.page.wait_for_timeout(500)
        window.press("Escape")
        window.await_no_ghost()
        times += time_key(window, place.typed)
        window.press("Escape", *["Control+z"] * 4)
    window.close()
    return times


def cut(window: Window, place: Place) -> None:
    """Go to a place, and delete the rest of its line."""
    window.focus("long.py")
    window.go_to(place.line + 1, place.character + 1)
    window.press("Shift+End", "Delete")


def time_key(window: Window, key: str) -> list[float]:
    """Press a key, and return the milliseconds until ghost text is seen; an empty list when there is none."""
    window.page.keyboard.type(key)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        pressed, shown = window.page.evaluate("() => [window.ghost.pressed, window.ghost.shown]")
        if shown:
            return [shown - pressed]
        window.page.wait_for_timeout(20)
    return []


if __name__ == "__main__":
    sys.exit(main())
