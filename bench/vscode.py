"""``python -m bench.vscode``: what a user of VS Code waits for, seen on the screen; ``--record`` also keeps it.

A keystroke is timed inside of the page, from the browser's key event to the first frame after a ghost text has been
put into the document, so VS Code's own delay of 50 ms is in it. Everything is as a user has it (the package, a server
in the project's environment, the bundled model), but no suggestion is held back for want of confidence.

Needs what ``make vscode`` installs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, described, record, spread, table, this_machine
from bench.keystrokes import Place, places
from tools.drivers.vscode.code_server import CodeServer
from tools.drivers.vscode.installed import build_package, what_is_missing
from tools.drivers.vscode.window import Window, chromium
from tools.drivers.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "bench" / "results" / "vscode.json"
LONG = ROOT / "fixtures" / "three_hundred_lines.py"

LINES = 30
"""Places in the file where something new is typed."""

STARTS = 5
"""Windows that are opened to see how long a cold start takes."""

PATIENCE_SECONDS = 5.0
"""How long a ghost text is waited for after a keystroke."""

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
    machine = this_machine()
    print(f"{described(machine)}\n", flush=True)
    if machine.is_busy:
        say(f"The machine is busy (load {machine.load}): only ratios of one run mean anything.")
    figures = measured()
    print(table(figures))
    if arguments.record:
        RESULT.write_text(json.dumps(record(machine, figures), indent=2, ensure_ascii=False) + "\n", "utf-8")
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
        *spread("VS Code: window opened to first ghost text, cold", [one for one, _ in starts], "s"),
        *spread("VS Code: file shown to first ghost text, cold", [one for _, one in starts], "s", 8),
        *spread("VS Code: keystroke to visible ghost text, 300-line file", times, "ms", 200),
        Figure("VS Code: keystrokes that no ghost text followed", 100 * (1 - len(times) / LINES), "%"),
    ]


@contextmanager
def installed(folder: Path) -> Iterator[CodeServer]:
    """VS Code with the extension."""
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
    """Seconds to the first ghost text: since the window was opened, and since the file is shown in it.

    Something is typed as soon as the server answers, while it still loads the model.
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
    """Milliseconds from a keystroke to the ghost text it brings, each in a line of its own."""
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
    """Go to a place and delete the rest of its line."""
    window.focus("long.py")
    window.go_to(place.line + 1, place.character + 1)
    window.press("Shift+End", "Delete")


def time_key(window: Window, key: str) -> list[float]:
    """Press a key; how long it takes until a ghost text is seen, or nothing when none comes."""
    window.page.keyboard.type(key)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        pressed, shown = window.page.evaluate("() => [window.ghost.pressed, window.ghost.shown]")
        if shown:
            return [shown - pressed]
        window.page.wait_for_timeout(20)
    return []


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
