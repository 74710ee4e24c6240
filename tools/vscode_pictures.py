"""Draws the extension's ``rewrite.png`` and ``holes.png``: a real VS Code, with what the bundled model really fills in.

Run it after ``make vscode``: ``python -m tools.vscode_pictures``. The window is driven as a user would drive it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.drivers.vscode.code_server import CodeServer
from tools.drivers.vscode.installed import build_package
from tools.drivers.vscode.window import Window, chromium
from tools.drivers.waiting import wait_until

ROOT = Path(__file__).parent.parent

SETTINGS = {
    "workbench.colorTheme": "Default Dark Modern",
    "workbench.activityBar.location": "hidden",
    "editor.stickyScroll.enabled": False,
    "editor.lightbulb.enabled": "off",
    "editor.occurrencesHighlight": "off",
    "editor.selectionHighlight": False,
    "editor.matchBrackets": "never",
    "breadcrumbs.enabled": False,
    "dgemma.rewrite.strength": 1,
}

SIZE = (860, 400)

MEDIA = ROOT / "editors" / "vscode" / "media"
INVENTORY = ROOT / "fixtures" / "demo_inventory.py"

HOLE = "⟨fill⟩"


def main() -> None:
    text = INVENTORY.read_text("utf-8")
    with window("inventory.py", text.replace("...", HOLE)) as one:
        draw_holes(one)
    with window(
        "inventory.py", text.replace("in ...", "in self.items.keys()").replace("return ...", "return total")
    ) as one:
        draw_rewrite(one)


@contextmanager
def window(name: str, text: str) -> Iterator[Window]:
    """A window of a new VS Code, with one file in it and the model loaded."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        project = Path(folder) / "inventory"
        project.mkdir()
        (project / name).write_text(text, "utf-8")
        server = CodeServer(
            Path(folder) / "code-server", build_package(Path(folder)), [Path(sys.executable).parent]
        )
        try:
            server.configure(SETTINGS)
            server.await_start()
            opened = Window.open(browser, server, project / name, SIZE)
            opened.await_status("ready", seconds=60)
            opened.command("View: Close Primary Side Bar")
            opened.command("Notifications: Clear All")
            opened.focus(name)
            yield opened
        finally:
            server.close()


def draw_holes(one: Window) -> None:
    one.command("dgemma: Fill All Holes in This File")
    lens = one.page.locator(".codelens-decoration a", has_text="take back")
    wait_until(lambda: lens.count() == 2, "the holes were not filled")
    keep(one, "holes")


def draw_rewrite(one: Window) -> None:
    one.select((36, 21), (36, 38))
    one.command("dgemma: Rewrite Selection")
    one.await_comparison()
    keep(one, "rewrite")


def keep(one: Window, name: str) -> None:
    one.page.wait_for_timeout(800)  # for what is still moving
    shutil.copy(one.picture(name), MEDIA / f"{name}.png")


if __name__ == "__main__":
    main()
