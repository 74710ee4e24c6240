"""Everything the extension does, in a real VS Code, with a model that answers what the documents say."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.vscode.conftest import FIXTURES, OpenWindow
from tools.drivers.fake_worker import WorkerLog
from tools.drivers.vscode.code_server import CodeServer
from tools.drivers.vscode.window import Window
from tools.drivers.waiting import wait_until

SNIPPET = {"call": {"prefix": "zzz", "body": "call(${1:placeholder})", "scope": "python"}}

FILES = ("complete.py", "rewrite.py", "holes.py", "slow.py", "proof.py")


@pytest.fixture(scope="module")
def window(open_window: OpenWindow, fake_server: list[str]) -> Window:
    settings = {"dgemma.server.command": fake_server, "dgemma.logLevel": "debug"}
    window = open_window(*(f"vscode/{name}" for name in FILES), settings=settings)
    (window.folder / ".vscode" / "a.code-snippets").write_text(json.dumps(SNIPPET))
    window.await_status("ready")
    return window


@pytest.fixture(autouse=True)
def as_it_was(window: Window) -> Iterator[None]:
    """Every test leaves the files as they are in the fixtures, whatever became of it."""
    yield
    window.press("Escape")
    for name in FILES:
        if window.is_dirty(name) or (window.folder / name).read_bytes() != original(name):
            (window.folder / name).write_bytes(original(name))
            window.revert(name)


def original(name: str) -> bytes:
    return (FIXTURES / "vscode" / name).read_bytes()


def begin_a_value(window: Window) -> None:
    window.open_file("complete.py")
    window.go_to(3, 12)
    window.type(" ")
    window.await_ghost("first(1, 2)\n    second = third")


def test_a_suggestion_is_accepted_by_word_by_line_and_as_a_whole(window: Window) -> None:
    begin_a_value(window)
    window.picture("ghost-text")
    window.press("Control+ArrowRight")
    window.await_ghost("(1, 2)\n    second = third")
    window.press("Control+End")
    window.await_ghost("    second = third")
    # In front of an indentation VS Code's Tab indents first.
    window.press("Tab", "Tab")
    expected = original("complete.py").replace(b"value =", b"value = first(1, 2)\n    second = third")
    wait_until(lambda: window.save("complete.py") == expected, "the rest was not accepted")


def test_alternatives_are_gone_through_in_a_circle(window: Window) -> None:
    begin_a_value(window)
    window.press("Escape")
    window.await_no_ghost()
    window.command("dgemma: Suggest Here")
    window.await_ghost()
    for text in ("another(3)", "last", "first(1, 2)\n    second = third"):
        window.press("Alt+]")
        window.await_ghost(text)
    window.press("Alt+[")
    window.await_ghost("last")
    window.press("Escape")
    window.await_no_ghost()


def test_typing_through_a_suggestion_keeps_it(window: Window) -> None:
    begin_a_value(window)
    window.type("first(")
    window.await_ghost("1, 2)\n    second = third")
    window.press("Escape")


def test_nothing_is_computed_for_the_placeholder_of_a_snippet(window: Window, worker_log: WorkerLog) -> None:
    window.open_file("complete.py")
    window.go_to(3, 12)
    window.type(" zzz")
    window.await_ghost()
    window.press("Escape", "Control+Space")
    window.page.locator(".suggest-widget .monaco-list-row.focused", has_text="zzz").wait_for()
    fills = len(worker_log.entries("fill"))
    window.press("Enter")
    wait_until(lambda: b"call(placeholder)" in window.save("complete.py"), "the snippet is not there")
    window.page.wait_for_timeout(700)
    assert len(worker_log.entries("fill")) == fills
    window.type("q")
    worker_log.await_entries("fill", fills + 1)


def rewrite_the_call(window: Window) -> None:
    window.open_file("rewrite.py")
    window.select((4, 12), (4, 23))
    window.command("dgemma: Rewrite Selection")
    window.await_comparison()


def test_a_rewrite_is_compared_then_accepted_and_undone_with_one_key(window: Window) -> None:
    rewrite_the_call(window)
    window.picture("rewrite")
    assert (window.folder / "rewrite.py").read_bytes() == original("rewrite.py")
    window.press("Control+Enter")
    window.comparison.wait_for(state="hidden")
    assert window.save("rewrite.py") == original("rewrite.py").replace(b"return list", b"return sorted")
    window.press("Control+z")
    assert window.save("rewrite.py") == original("rewrite.py")


def test_a_rewrite_that_is_rejected_changes_nothing(window: Window) -> None:
    rewrite_the_call(window)
    window.press("Escape")
    window.comparison.wait_for(state="hidden")
    assert not window.is_dirty("rewrite.py")


def test_the_editors_own_menu_leads_to_the_comparison(window: Window) -> None:
    window.open_file("rewrite.py")
    window.select((4, 12), (4, 23))
    window.press("Control+Shift+r")
    row = window.page.locator(".action-widget .monaco-list-row", has_text="Rewrite selection").first
    row.click()
    window.await_comparison()
    window.press("Escape")
    window.comparison.wait_for(state="hidden")


def test_a_rewrite_may_be_gentle_or_from_scratch(window: Window, worker_log: WorkerLog) -> None:
    window.open_file("rewrite.py")
    window.select((4, 12), (4, 23))
    window.press("Control+Shift+r")
    rows = window.page.locator(".action-widget .monaco-list-row")
    rows.filter(has_text="Rewrite selection gently").wait_for()
    assert rows.filter(has_text="Rewrite selection from scratch").count() == 1
    rows.filter(has_text="Rewrite selection gently").click()
    window.await_comparison()
    assert worker_log.entries("fill")[-1]["options"]["strength"] == 0.3
    window.press("Escape")
    window.comparison.wait_for(state="hidden")


def test_the_editors_own_menu_shows_instructions_disabled(window: Window) -> None:
    window.open_file("rewrite.py")
    window.select((4, 12), (4, 23))
    window.press("Control+Shift+r")
    window.page.locator(".action-widget").get_by_text("Show Disabled").click()
    row = window.page.locator(".action-widget .monaco-list-row", has_text="with an instruction")
    row.wait_for()
    window.picture("disabled")
    assert "option-disabled" in (row.get_attribute("class") or "")
    window.press("Escape")


def test_what_surprises_the_model_is_marked_and_mended(window: Window) -> None:
    window.open_file("proof.py")
    window.command("dgemma: Proofread This File")
    window.await_message("What looks odd is marked")
    window.page.locator(".squiggly-hint").first.wait_for()
    window.go_to(3, 14)
    window.press("Control+.")
    row = window.page.locator(".action-widget .monaco-list-row", has_text="Replace with right_name").first
    row.wait_for()
    window.picture("proofread")
    row.click()
    expected = original("proof.py").replace(b"return wrong_name", b"return right_name")
    wait_until(lambda: window.save("proof.py") == expected, "the word was not replaced")


def test_three_holes_are_filled_at_once_and_stepped_through(window: Window) -> None:
    window.open_file("holes.py")
    window.command("dgemma: Fill All Holes in This File")
    lens = window.page.locator(".codelens-decoration a", has_text="take back")
    wait_until(lambda: lens.count() == 3, "three regions are not shown")
    window.await_position(3)
    window.press("Alt+F5")
    window.await_position(7)
    window.picture("holes")
    window.press("Alt+F5", "Alt+F5")
    window.await_position(3)
    lens.first.click()
    wait_until(lambda: lens.count() == 2, "a region was not taken back")
    window.press("Control+Enter")
    wait_until(lambda: lens.count() == 0, "the regions are still shown")
    filled = original("holes.py").replace(b"pass", b"return 1 + 1")
    filled = filled.replace(b"raise NotImplementedError", b"return 2 + 1")
    assert window.save("holes.py") == filled


def test_all_holes_are_undone_with_one_key(window: Window) -> None:
    window.open_file("holes.py")
    window.command("dgemma: Fill All Holes in This File")
    window.await_position(3)
    assert window.save("holes.py").count(b"    return") == 3
    window.press("Control+z")
    assert window.save("holes.py") == original("holes.py")
    lens = window.page.locator(".codelens-decoration a", has_text="take back")
    wait_until(lambda: lens.count() == 0, "regions that are no longer filled are still shown")


def test_a_cancelled_rewrite_stops_the_model(window: Window, worker_log: WorkerLog) -> None:
    window.open_file("slow.py")
    window.select((3, 12), (3, 23))
    cancelled = len(worker_log.entries("cancel"))
    window.command("dgemma: Rewrite Selection")
    window.await_message("Esc cancels")
    wait_until(lambda: "never" in window.decorations, "no draft is shown")
    window.picture("drafts")
    window.press("Escape")
    worker_log.await_entries("cancel", cancelled + 1)
    window.await_status("ready")
    assert window.comparison.count() == 0
    assert not window.is_dirty("slow.py")


@pytest.mark.parametrize("where", ["in This File", "in This Language", "Everywhere"])
def test_while_paused_only_who_asks_gets_a_suggestion(window: Window, where: str) -> None:
    window.open_file("complete.py")
    window.go_to(3, 12)
    window.command(f"dgemma: Pause {where}")
    window.await_status("paused")
    window.type(" ")
    window.page.wait_for_timeout(700)
    assert window.ghost == ""
    window.command("dgemma: Suggest Here")
    window.await_ghost()
    window.press("Escape")
    window.command("dgemma: Resume")
    window.await_status("ready")


def test_instructions_are_shown_but_disabled_with_a_model_that_follows_none(window: Window) -> None:
    window.open_file("rewrite.py")
    window.select((4, 12), (4, 23))
    window.press("Shift+F10")
    entry = window.page.locator(".monaco-menu .action-item", has_text="Rewrite with Instruction")
    assert "disabled" in (entry.locator("a").first.get_attribute("class") or "")
    other = window.page.locator(".monaco-menu .action-item", has_text="Rewrite Selection")
    assert "disabled" not in (other.locator("a").first.get_attribute("class") or "")
    window.picture("context-menu")
    window.press("Escape")


def test_a_server_that_is_killed_comes_back(
    window: Window, code_server: CodeServer, worker_log: WorkerLog
) -> None:
    window.open_file("complete.py")
    servers = code_server.children(str(worker_log.path))
    assert servers
    for process in servers:
        os.kill(process, signal.SIGKILL)
    window.await_status("ready")
    begin_a_value(window)


def test_the_doctor_tells_what_runs(window: Window) -> None:
    window.command("dgemma: Doctor")
    page = window.page.locator(".monaco-editor", has_text="Where the extension looked for the server")
    page.first.wait_for()
    page.get_by_text("processor").first.wait_for()
    window.picture("doctor")
