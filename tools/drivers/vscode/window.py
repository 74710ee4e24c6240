"""Drives windows of VS Code in Chromium with the keyboard, and reads what they show from the page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tools.drivers.vscode.code_server import CodeServer
from tools.drivers.vscode.installed import ROOT
from tools.drivers.waiting import PATIENCE_SECONDS, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

PICTURES = ROOT / ".cache" / "pictures" / "vscode"
"""Screenshots of the last run."""

SIZE = (1100, 650)

GHOST_TEXT = """() => {
  const text = elements => elements.map(element => element.textContent).join('');
  const inline = text([...document.querySelectorAll('[class*="ghost-text-decoration"]')]);
  const others = [...document.querySelectorAll('.ghost-text:not([class*="ghost-text-decoration"])')];
  const lines = [...new Set(others.map(element => element.parentElement))];
  return [inline, ...lines.map(line => line.textContent)].join('\\n');
}"""
"""Ghost text after the cursor is in decorations of its line; further lines are in a view zone."""


@contextmanager
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        yield browser
        browser.close()


@dataclass
class Window:
    """A window of VS Code in which one folder is open."""

    page: Page
    folder: Path

    @classmethod
    def open(cls, browser: Browser, server: CodeServer, file: Path, size: tuple[int, int] = SIZE) -> Window:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE_SECONDS)
        page.on("dialog", lambda dialog: dialog.accept())
        payload = json.dumps([["openFile", f"vscode-remote://127.0.0.1:{server.port}{file}"]])
        page.goto(
            f"http://127.0.0.1:{server.port}/?folder={quote(str(file.parent))}&payload={quote(payload)}"
        )
        window = cls(page, file.parent)
        window.editor(file.name).wait_for()
        return window

    def close(self) -> None:
        self.page.context.close()

    # What a user sees

    def editor(self, name: str) -> Locator:
        return self.page.locator(f'.monaco-editor[data-uri$="/{name}"]:visible').first

    @property
    def ghost(self) -> str:
        """The ghost text with its line breaks; "" when there is none."""
        return str(self.page.evaluate(GHOST_TEXT)).replace("\xa0", " ")

    @property
    def decorations(self) -> str:
        """The text that decorations add to lines."""
        script = """() => [...document.querySelectorAll('.view-line span')]
          .map(element => getComputedStyle(element, '::after').content).join(' ')"""
        return str(self.page.evaluate(script))

    def in_frames(self, script: str) -> list[str]:
        """Run a script in the page and in each of its frames, and return the answers."""
        from playwright.sync_api import Error

        answers = []
        for frame in self.page.frames:
            with suppress(Error):  # the frame has just gone
                answers.append(str(frame.evaluate(script)))
        return answers

    @property
    def status(self) -> str:
        """The status bar's text for screen readers."""
        item = self.page.locator('.statusbar-item[id*="dgemma"]').first
        return (item.get_attribute("aria-label") or "") if item.count() else ""

    @property
    def notifications(self) -> list[str]:
        return list(self.page.locator(".notification-list-item-message").all_inner_texts())

    @property
    def buttons(self) -> list[str]:
        """The buttons of all notifications on the screen."""
        return list(self.page.locator(".notification-list-item .monaco-text-button").all_inner_texts())

    def await_message(self, words: str) -> str:
        """Wait for a notification that contains these words, and return its whole text."""
        item = self.page.locator(".notification-list-item", has_text=words).first
        item.wait_for()
        return str(item.inner_text())

    def await_ghost(self, text: str | None = None) -> str:
        """Wait for this ghost text, or for any, and return it."""

        def is_there() -> bool:
            return bool(self.ghost) if text is None else self.ghost == text

        wait_until(is_there, f"the ghost text is not {text!r}")
        return self.ghost

    def await_no_ghost(self) -> None:
        wait_until(lambda: not self.ghost, "the ghost text stays")

    def await_status(self, words: str, seconds: float = 30) -> None:
        wait_until(lambda: words in self.status, f"the status is not {words!r}", seconds)

    @property
    def comparison(self) -> Locator:
        """The editor that compares a rewrite with the present text."""
        return self.page.locator(".monaco-diff-editor").first

    def await_comparison(self) -> None:
        """Wait until a rewrite is shown and has the focus."""
        self.page.locator(".monaco-diff-editor .monaco-editor.focused").wait_for()

    def is_dirty(self, name: str) -> bool:
        return bool(self.page.locator(".tab.dirty", has_text=name).count())

    def await_position(self, line: int) -> None:
        """Wait until the cursor is in a line."""
        self.page.locator(".statusbar-item", has_text=f"Ln {line},").wait_for()

    def picture(self, name: str) -> Path:
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    # What a user does

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str, delay: float = 30) -> None:
        self.page.keyboard.type(text, delay=delay)

    def focus(self, name: str) -> None:
        self.editor(name).locator(".view-lines").click()

    def go_to(self, line: int, column: int = 1) -> None:
        self.press("Control+g")
        self.page.locator(".quick-input-widget input:focus").wait_for()
        self.page.keyboard.insert_text(f"{line}:{column}")
        self.press("Enter")
        self.page.locator(".quick-input-widget input").wait_for(state="hidden")
        self.page.locator(".monaco-editor.focused").first.wait_for()

    def select(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Select from one line and column to another."""
        self.go_to(*start)
        self.press("Control+k", "Control+b")  # sets the anchor
        self.go_to(*end)
        self.press("Control+k", "Control+k")

    def open_file(self, name: str) -> None:
        """Bring another file of the folder to the front, with the cursor in it."""
        self._pick("Control+p", name)
        self.editor(name).locator(".view-line").first.wait_for()

    def command(self, title: str, asks: bool = False) -> None:
        """Run a command from the palette; one that ``asks`` opens an input box in the palette's place."""
        self._pick("F1", title, asks)

    def _pick(self, key: str, words: str, stays: bool = False) -> None:
        self.press(key)
        self.page.locator(".quick-input-widget input:focus").wait_for()
        self.page.keyboard.insert_text(words)
        # Until it is filtered, the list shows what was picked last.
        self.page.locator(".quick-input-list .monaco-list-row.focused", has_text=words).wait_for()
        self.press("Enter")
        if not stays:
            self.page.locator(".quick-input-widget").wait_for(state="hidden")

    def choose(self, button: str) -> None:
        """Press a button of a notification."""
        self.page.locator(".notification-list-item").get_by_role("button", name=button).first.click()

    def save(self, name: str) -> bytes:
        """Save with the keyboard, and read the file from the disk."""
        self.press("Control+s")
        dirty = self.page.locator(".tab.dirty", has_text=name)
        dirty.wait_for(state="hidden")
        return (self.folder / name).read_bytes()

    def revert(self, name: str) -> None:
        """Reload a file from the disk."""
        self.open_file(name)
        self.command("File: Revert File")
        self.page.locator(".tab.dirty", has_text=name).wait_for(state="hidden")

    def undo_all(self, name: str, original: bytes) -> None:
        """Undo until a file is as it was, saving it each time."""
        for _ in range(30):
            if self.save(name) == original:
                return
            self.press("Control+z")
        raise AssertionError(f"{name} is not as it was after undoing everything")
