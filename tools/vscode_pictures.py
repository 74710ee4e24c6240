"""Takes the extension's pictures ``rewrite.png`` and ``holes.png`` in a real VS Code, with the bundled model.

Run it after ``make vscode``: ``python -m tools.vscode_pictures``.
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
    """Take both pictures."""
    text = INVENTORY.read_text("utf-8")
    with opened("inventory.py", text.replace("...", HOLE)) as window:
        take_holes(window)
    with opened(
        "inventory.py", text.replace("in ...", "in self.items.keys()").replace("return ...", "return total")
    ) as window:
        take_rewrite(window)


@contextmanager
def opened(name: str, text: str) -> Iterator[Window]:
    """Open one file in a new VS Code, and wait until the model is loaded."""
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
            window = Window.open(browser, server, project / name, SIZE)
            window.await_status("ready", seconds=60)
            window.command("View: Close Primary Side Bar")
            window.command("Notifications: Clear All")
            window.focus(name)
            yield window
        finally:
            server.close()


def take_holes(window: Window) -> None:
    """Fill all holes, and take a picture of the fills."""
    window.command("dgemma: Fill All Holes in This File")
    lens = window.page.locator(".codelens-decoration a", has_text="take back")
    wait_until(lambda: lens.count() == 2, "the holes were not filled")
    keep(window, "holes")


def take_rewrite(window: Window) -> None:
    """Rewrite a selection, and take a picture of the comparison."""
    window.select((36, 21), (36, 38))
    window.command("dgemma: Rewrite Selection")
    window.await_comparison()
    keep(window, "rewrite")


def keep(window: Window, name: str) -> None:
    """Take a picture once nothing moves any more."""
    window.page.wait_for_timeout(800)
    shutil.copy(window.picture(name), MEDIA / f"{name}.png")


if __name__ == "__main__":
    main()
