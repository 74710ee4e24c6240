"""A user's first minutes with the bundled model, in a real VS Code; what it writes nobody knows beforehand."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.e2e.vscode.conftest import FIXTURES, OpenWindow
from tools.drivers.vscode.code_server import CodeServer
from tools.drivers.vscode.window import Window
from tools.drivers.waiting import wait_until

NAME = "shop.py"

WORKER = "dgemma_model.worker"


@pytest.fixture(scope="module")
def window(open_window: OpenWindow) -> Window:
    """The server is found in the environment of the project. It may be as unsure as it likes."""
    settings = {"dgemma.automatic.minConfidence": 0}
    window = open_window(f"vscode/{NAME}", settings=settings, environment=Path(sys.prefix))
    window.await_status("ready", seconds=90)
    return window


def original() -> bytes:
    return (FIXTURES / "vscode" / NAME).read_bytes()


@pytest.fixture(autouse=True)
def as_it_was(window: Window) -> None:
    window.open_file(NAME)
    window.undo_all(NAME, original())


def ask_for_a_line(window: Window) -> str:
    window.go_to(*place("self.items[name] = self.items", after=True))
    window.command("dgemma: Suggest Here")
    return window.await_ghost()


def place(words: str, after: bool = False) -> tuple[int, int]:
    """Line and column where the fixture has these words, or behind them."""
    before, _, _ = original().decode().partition(words)
    line = before.count("\n") + 1
    return line, len(before) - before.rfind("\n") + (len(words) if after else 0)


def inserted(text: bytes) -> str:
    """What has been inserted at the place where a line is asked for."""
    before, line, after = original().partition(b"self.items[name] = self.items")
    assert text.startswith(before + line)
    assert text.endswith(after)
    return text.removeprefix(before + line).removesuffix(after).decode()


def test_a_suggestion_is_accepted_by_words_and_as_a_whole(window: Window) -> None:
    ghost = ask_for_a_line(window)
    window.picture("bundled-ghost-text")
    window.press("Control+ArrowRight")
    wait_until(lambda: window.ghost != ghost, "no word was accepted")
    word = inserted(window.save(NAME))
    assert word
    assert ghost.startswith(word)
    window.undo_all(NAME, original())
    ghost = ask_for_a_line(window)
    window.press("Tab")
    wait_until(lambda: inserted(window.save(NAME)) == ghost, "the suggestion was not accepted")


def test_a_suggestion_comes_while_typing(window: Window) -> None:
    window.go_to(*place("self.items[name] = self.items", after=True))
    window.type("[")
    window.await_ghost()
    window.press("Escape")
    window.await_no_ghost()


def test_a_suggestion_is_accepted_by_lines(window: Window) -> None:
    ghost = ask_for_a_line(window)
    window.press("Control+End")
    line = ghost.partition("\n")[0]
    wait_until(lambda: inserted(window.save(NAME)).rstrip("\n") == line, "no line was accepted")


def test_the_alternative_that_is_shown_is_the_one_that_is_accepted(window: Window) -> None:
    seen = [ask_for_a_line(window)]
    for _ in range(2):
        window.press("Alt+]")
        window.page.wait_for_timeout(700)
        seen.append(window.ghost)
    assert len(set(seen)) > 1, "there are no alternatives"
    window.press("Tab")
    wait_until(lambda: inserted(window.save(NAME)) == seen[-1], "another one was accepted")


@pytest.mark.parametrize("milliseconds", [0, 30, 300])
def test_giving_up_in_the_middle_leaves_everything_as_it_was(window: Window, milliseconds: int) -> None:
    window.select(place("item.price * item.count"), place("item.price * item.count", after=True))
    window.command("dgemma: Rewrite Selection")
    window.page.wait_for_timeout(milliseconds)
    window.press("Escape")
    window.await_status("ready")
    window.page.wait_for_timeout(700)
    window.press("Escape")  # of a comparison that was there before the key was
    window.comparison.wait_for(state="hidden")
    assert not window.is_dirty(NAME)


def test_paused_is_silent_and_the_file_is_what_was_typed(window: Window) -> None:
    window.command("dgemma: Pause in This Language")
    window.await_status("paused")
    window.go_to(*place("self.items[name] = self.items", after=True))
    window.type("[")
    window.page.wait_for_timeout(1000)
    assert window.ghost == ""
    window.command("dgemma: Resume")
    window.type("n")
    window.await_ghost()
    window.press("Escape")
    assert inserted(window.save(NAME)) == "[n"


def rewrite_something(window: Window) -> None:
    """The model is small: of some selections it makes nothing better."""
    for words in ("len(self.items)", "sorted(self.items)", "item.price * item.count", "self.items.values()"):
        window.select(place(words), place(words, after=True))
        window.command("dgemma: Rewrite Selection")
        wait_until(lambda: window.comparison.count() or window.notifications, "no answer to a rewrite")
        if window.comparison.count():
            return
        window.command("Notifications: Clear All")
    pytest.fail("of four selections none was rewritten")


def test_a_rewrite_is_undone_with_one_key(window: Window) -> None:
    rewrite_something(window)
    window.await_comparison()
    window.picture("bundled-rewrite")
    window.press("Control+Enter")
    window.comparison.wait_for(state="hidden")
    assert window.save(NAME) != original()
    window.press("Control+z")
    assert window.save(NAME) == original()


def test_a_worker_that_is_killed_is_replaced(window: Window, code_server: CodeServer) -> None:
    (worker,) = code_server.children(WORKER)
    os.kill(worker, signal.SIGKILL)
    ask_for_a_line(window)
    assert code_server.children(WORKER) != [worker]
    window.press("Escape")
