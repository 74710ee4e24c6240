"""``python -m bench.neovim``: what a user of Neovim waits for, in real Neovims, with the bundled model.

Each has the plugin as a user installs it and a screen on which ghost text is looked for. Every keystroke is waited for
with an empty screen: what was shown before is dismissed, so nothing is seen that was there already.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

from bench.figures import Figure, described, record, spread, table, this_machine
from bench.keystrokes import Place, places
from bench.measurements import LONG
from bench.processes import Stopwatch, command
from tools.drivers.neovim import install
from tools.drivers.neovim.editor import Editor
from tools.drivers.neovim.user import Home

RESULT = install.ROOT / "bench" / "results" / "neovim.json"

LINES, KEYSTROKES = 12, 5
"""Their product is the number of keystrokes."""
TEXT = LONG.read_text("utf-8")
PLACES = places(TEXT, LINES, KEYSTROKES)

STARTS = 3
UNANSWERED_SECONDS = 2.0
"""So long a keystroke may stay without ghost text; then it counts as one that gets none."""

GHOST = ("DgemmaGhost", "ComplHint")
"""How ghost text is drawn: by us, by Neovim."""

NEOVIMS: Mapping[str, tuple[Callable[[], install.Neovim], str, float]] = {
    "Neovim 0.11": (install.neovim_0_11, "own", 200),
    "Neovim 0.12": (install.neovim_0_12, "core", 350),
    "Neovim 0.12, ghost text by the plugin": (install.neovim_0_12, "own", 200),
}
"""Which one, who draws, and how many milliseconds are promised."""

WATCH = """
-- The processor time between two rounds of the main loop: what keeps it from the next keystroke, whoever else is busy.
local last = os.clock()
longest_ms = 0
watch = vim.uv.new_timer()
watch:start(0, 1, function()
  local now = os.clock()
  longest_ms, last = math.max(longest_ms, (now - last) * 1000), now
end)
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.neovim", description=__doc__, allow_abbrev=False)
    parser.add_argument("--record", action="store_true", help=f"write {RESULT.relative_to(install.ROOT)}")
    arguments = parser.parse_args()
    machine = this_machine()
    print(f"{described(machine)}\n", flush=True)
    if machine.is_busy:
        say(f"The machine is busy (load {machine.load}): only ratios of one run mean anything.")
    figures: list[Figure] = []
    for name, (find, ghost_text, promised) in NEOVIMS.items():
        say(f"measuring: {name}")
        bench = Bench(name, find(), ghost_text, install.msgpack())
        figures += bench.starts() + bench.keystrokes(promised) + bench.longest_task()
    print(table(figures))
    if arguments.record:
        text = json.dumps(record(machine, figures), indent=2, ensure_ascii=False)
        RESULT.write_text(text + "\n", "utf-8")
    return 0


class Bench:
    """Measurements of one Neovim.

    Args:
        name: of what is measured.
        neovim: which.
        ghost_text: who draws it; "off" measures Neovim without any.
        msgpack: the package.
    """

    def __init__(self, name: str, neovim: install.Neovim, ghost_text: str, msgpack: ModuleType) -> None:
        self._name, self._neovim, self._ghost_text, self._msgpack = name, neovim, ghost_text, msgpack

    def starts(self) -> list[Figure]:
        """From the start of a Neovim, in which is typed at once, to its first ghost text."""
        return [Figure(f"{self._name}: start to the first ghost text", median(self._start_times()), "s", 8)]

    def keystrokes(self, promised: float) -> list[Figure]:
        """From a key to ghost text on the screen, while lines of a 300-line file are typed.

        Where the ghost text stays what it was, the server knows the answer; elsewhere the model is asked.
        """
        known: list[float] = []
        asked: list[float] = []
        count = 0
        with self._editor() as editor:
            warm_up(editor)
            for place in PLACES:
                go_to(editor, place)
                for key in place.typed:
                    count, before = count + 1, editor.line
                    milliseconds = milliseconds_to_ghost(editor, key)
                    if milliseconds is not None:
                        (known if editor.line == before else asked).append(milliseconds)
        name = f"{self._name}: keystroke to ghost text"
        return [
            *spread(
                f"{name}, {len(known) + len(asked)} of {count} keystrokes", known + asked, "ms", promised
            ),
            *spread(f"{name}, {len(asked)} for which the model is asked", asked, "ms"),
        ]

    def longest_task(self) -> list[Figure]:
        """The longest task of the main loop while lines are typed and accepted; the same without ghost text."""
        with_it, without = self._longest_task(self._ghost_text), self._longest_task("off")
        name = f"{self._name}: longest task of the main loop"
        return [Figure(name, with_it, "ms", 20), Figure(f"{name}, without ghost text", without, "ms")]

    def _start_times(self) -> Iterator[float]:
        place = PLACES[1]
        for _ in range(STARTS):
            watch = Stopwatch()
            with self._editor(text=place.text) as editor:
                editor.type(f":{place.line + 1}<CR>A{place.typed[0]}")
                editor.wait(lambda: editor.shows(*GHOST), "ghost text")
                yield watch.seconds

    def _longest_task(self, ghost_text: str) -> float:
        with self._editor(ghost_text) as editor:
            warm_up(editor)
            editor.lua(WATCH)
            for place in PLACES:
                editor.type(f"<Esc>:{place.line + 1}<CR>A ")
                for key in place.typed:
                    editor.type(key)
                    time.sleep(0.1)
                time.sleep(0.3)
                editor.type("<Tab>")
            return float(editor.lua("watch:stop() return longest_ms"))

    @contextmanager
    def _editor(self, ghost_text: str = "", text: str = TEXT) -> Iterator[Editor]:
        with tempfile.TemporaryDirectory() as folder:
            home, file = Home(Path(folder) / "home"), Path(folder) / "three_hundred_lines.py"
            home.install()
            file.write_text(text, "utf-8")
            choices: dict[str, Any] = {
                "cmd": [command("dgemma-lsp"), "--stdio"],
                "ghost_text": ghost_text or self._ghost_text,
                # Anything is shown, however unsure: the time is the question here.
                "init_options": {"automatic": {"minConfidence": 0.0}},
            }
            editor = home.open(self._neovim, self._msgpack, file, choices)
            try:
                yield editor
            finally:
                editor.close()


def warm_up(editor: Editor) -> None:
    """Until the model is loaded and everything was used once."""
    editor.wait_for_server()
    editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
    go_to(editor, PLACES[1])
    editor.type("<C-b>")
    editor.wait(lambda: editor.shows(*GHOST), "ghost text")


def go_to(editor: Editor, place: Place) -> None:
    """Put the text of a place into the buffer, and begin to type there."""
    editor.type("<Esc>")
    editor.lua("vim.api.nvim_buf_set_lines(0, 0, -1, true, ...)", place.text.splitlines())
    editor.type(f":{place.line + 1}<CR>zzA")
    time.sleep(0.5)


def milliseconds_to_ghost(editor: Editor, key: str) -> float | None:
    """How long ghost text takes to be seen behind a key; None when there comes none."""
    editor.type("<C-e>")
    editor.wait(lambda: not editor.shows(*GHOST), "an empty screen")
    watch = Stopwatch()
    editor.type(key)
    return watch.milliseconds if editor.comes(lambda: editor.shows(*GHOST), UNANSWERED_SECONDS) else None


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
