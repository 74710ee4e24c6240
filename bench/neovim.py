"""``python -m bench.neovim`` measures what a user of Neovim waits for, in real Neovims, with the bundled model.

The plugin is installed as a user would install it, and ghost text counts when it is on the screen. What was shown
before a keystroke is dismissed first, so that no earlier ghost text is mistaken for a new one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

from bench.figures import Figure, spread, table
from bench.files import LONG, RESULTS, ROOT
from bench.keystrokes import Place, places
from bench.processes import Stopwatch, command
from bench.report import introduce_machine, keep, say
from tools.drivers.neovim import install
from tools.drivers.neovim.editor import Editor
from tools.drivers.neovim.user import Home

RESULT = RESULTS / "neovim.json"

LINES, KEYSTROKES = 12, 5
"""Their product is the number of keystrokes."""
TEXT = LONG.read_text("utf-8")
PLACES = places(TEXT, LINES, KEYSTROKES)

STARTS = 3
UNANSWERED_SECONDS = 2.0
"""After so long without ghost text a keystroke counts as one that gets none."""

GHOST = ("DgemmaGhost", "ComplHint")
"""The highlight groups of ghost text: the plugin's, and Neovim's own."""

NEOVIMS: Mapping[str, tuple[Callable[[], install.Neovim], str, float]] = {
    "Neovim 0.11": (install.neovim_0_11, "own", 200),
    "Neovim 0.12": (install.neovim_0_12, "core", 350),
    "Neovim 0.12, ghost text by the plugin": (install.neovim_0_12, "own", 200),
}
"""How to find each one, who draws ghost text in it, and how many milliseconds are promised."""

WATCH = """
-- The longest processor time between two rounds of the main loop, in which no keystroke is handled. Other processes do
-- not count.
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
    parser.add_argument("--record", action="store_true", help=f"write {RESULT.relative_to(ROOT)}")
    arguments = parser.parse_args()
    machine = introduce_machine()
    figures: list[Figure] = []
    for name, (find, ghost_text, promised) in NEOVIMS.items():
        say(f"measuring: {name}")
        bench = Bench(name, find(), ghost_text, install.msgpack())
        figures += bench.starts() + bench.keystrokes(promised) + bench.longest_task()
    print(table(figures))
    if arguments.record:
        keep(RESULT, machine, figures)
    return 0


class Bench:
    """Measurements of one Neovim.

    Args:
        name: its name in the table.
        neovim: the Neovim.
        ghost_text: who draws ghost text; "off" measures Neovim without any.
        msgpack: the package of that name.
    """

    def __init__(self, name: str, neovim: install.Neovim, ghost_text: str, msgpack: ModuleType) -> None:
        self._name, self._neovim, self._ghost_text, self._msgpack = name, neovim, ghost_text, msgpack

    def starts(self) -> list[Figure]:
        """Time a Neovim, in which somebody types at once, from its start to its first ghost text."""
        return [Figure(f"{self._name}: start to the first ghost text", median(self._start_times()), "s", 8)]

    def keystrokes(self, promised: float) -> list[Figure]:
        """Time each key to the ghost text on the screen, while somebody types in a file of 300 lines.

        Where the ghost text stays the same, the server knew the answer; elsewhere the model was asked.
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
        """Time the longest task of the main loop while lines are typed and accepted, with ghost text and without."""
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
                # Unsure suggestions are shown too, because only the time matters here.
                "init_options": {"automatic": {"minConfidence": 0.0}},
            }
            editor = home.open(self._neovim, self._msgpack, file, choices)
            try:
                yield editor
            finally:
                editor.close()


def warm_up(editor: Editor) -> None:
    """Wait until the model is loaded, and use everything once."""
    editor.wait_for_server()
    editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
    go_to(editor, PLACES[1])
    editor.type("<C-b>")
    editor.wait(lambda: editor.shows(*GHOST), "ghost text")


def go_to(editor: Editor, place: Place) -> None:
    """Put the text of a place into the buffer, and start to type there."""
    editor.type("<Esc>")
    editor.lua("vim.api.nvim_buf_set_lines(0, 0, -1, true, ...)", place.text.splitlines())
    editor.type(f":{place.line + 1}<CR>zzA")
    time.sleep(0.5)


def milliseconds_to_ghost(editor: Editor, key: str) -> float | None:
    """Time a key until ghost text is on the screen; None when there is none."""
    editor.type("<C-e>")
    editor.wait(lambda: not editor.shows(*GHOST), "an empty screen")
    watch = Stopwatch()
    editor.type(key)
    return watch.milliseconds if editor.comes(lambda: editor.shows(*GHOST), UNANSWERED_SECONDS) else None


if __name__ == "__main__":
    sys.exit(main())
