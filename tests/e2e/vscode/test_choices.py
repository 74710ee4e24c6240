"""What depends on what a user, or another model, has chosen: each in a window with settings of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.vscode.conftest import FIXTURES, OpenWindow
from tools.drivers.client import instructed_server_command
from tools.drivers.vscode.code_server import CodeServer
from tools.drivers.vscode.window import Window
from tools.drivers.waiting import wait_until


def original(name: str) -> bytes:
    return (FIXTURES / "vscode" / name).read_bytes()


def opened(open_window: OpenWindow, command: list[str], *files: str, **settings: Any) -> Window:
    chosen = {f"dgemma.{name.replace('_', '.')}": value for name, value in settings.items()}
    window = open_window(*files, settings={"dgemma.server.command": command, **chosen})
    window.await_status("ready")
    return window


def test_an_instruction_is_asked_for_and_sent(open_window: OpenWindow) -> None:
    """By a model that does what it is told word by word."""
    command = [part for part in instructed_server_command() if part != "--stdio"]
    window = opened(open_window, command, "vscode/rewrite.py")
    window.select((4, 12), (4, 23))
    window.page.wait_for_timeout(1000)  # until VS Code has asked what can be done here
    window.command("dgemma: Rewrite with Instruction", asks=True)
    window.page.locator(".quick-input-widget", has_text="How should it change?").wait_for()
    window.picture("instruction")
    window.type("tuple(names)")
    window.press("Enter")
    window.await_comparison()
    assert not window.is_dirty("rewrite.py")
    window.press("Control+Enter")
    window.comparison.wait_for(state="hidden")
    rewritten = original("rewrite.py").replace(b"list(names)", b"tuple(names)")
    assert window.save("rewrite.py") == rewritten
    window.press("Control+z")
    assert window.save("rewrite.py") == original("rewrite.py")
    window.close()


def test_loading_is_shown(open_window: OpenWindow, fake_server: list[str]) -> None:
    worker = f"{fake_server[-1]} --load-delay 4"
    settings = {"dgemma.server.command": [*fake_server[:-1], worker]}
    window = open_window("vscode/complete.py", settings=settings)
    window.await_status("loading the model")
    window.picture("loading")
    window.await_status("ready")
    window.close()


def test_holes_are_compared_and_nothing_else_is_where_that_is_chosen(
    open_window: OpenWindow, fake_server: list[str]
) -> None:
    window = opened(open_window, fake_server, "vscode/holes.py", editor_preview="everything")
    window.command("dgemma: Fill All Holes in This File")
    window.await_comparison()
    assert not window.is_dirty("holes.py")
    window.press("Control+Enter")
    window.comparison.wait_for(state="hidden")
    assert window.save("holes.py").count(b"    return") == 3
    window.close()


def test_edits_are_made_at_once_where_that_is_chosen(open_window: OpenWindow, fake_server: list[str]) -> None:
    window = opened(open_window, fake_server, "vscode/rewrite.py", editor_preview="nothing")
    window.select((4, 12), (4, 23))
    window.command("dgemma: Rewrite Selection")
    rewritten = original("rewrite.py").replace(b"return list", b"return sorted")
    wait_until(lambda: window.is_dirty("rewrite.py"), "nothing was rewritten")
    assert window.save("rewrite.py") == rewritten
    assert window.comparison.count() == 0
    window.close()


def test_drafts_can_be_turned_off(open_window: OpenWindow, fake_server: list[str]) -> None:
    window = opened(open_window, fake_server, "vscode/slow.py", editor_drafts=False)
    window.select((3, 12), (3, 23))
    window.command("dgemma: Rewrite Selection")
    window.await_message("Esc cancels")
    for _ in range(12):
        assert "never" not in window.decorations
        window.page.wait_for_timeout(500)
    window.await_comparison()
    window.close()


def test_a_setting_that_is_changed_is_heard_at_once(open_window: OpenWindow, fake_server: list[str]) -> None:
    window = opened(open_window, fake_server, "vscode/complete.py")
    window.go_to(3, 12)
    window.type(" ")
    window.await_ghost()
    path: Path = window.folder / ".vscode" / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dgemma.languages": ["lua"]}))
    window.press("Escape")
    window.await_no_ghost()

    def is_silent() -> bool:
        window.type("x")
        window.page.wait_for_timeout(700)
        return not window.ghost

    wait_until(is_silent, "the language is still served")
    assert "no suggestion" in window.status
    window.close()


def test_the_server_is_restarted_and_its_log_is_opened(
    open_window: OpenWindow, code_server: CodeServer, fake_server: list[str]
) -> None:
    window = opened(open_window, fake_server, "vscode/complete.py")
    before = set(code_server.children(fake_server[-1]))
    window.command("dgemma: Restart the Server")
    wait_until(
        lambda: (now := set(code_server.children(fake_server[-1]))) and not now & before,
        "no other server runs",
    )
    window.await_status("ready")
    window.command("dgemma: Show the Log")
    # What is in it the editor of the tests cannot show: its writer of logs was never compiled.
    channel = window.page.locator(".part.panel select")
    wait_until(lambda: "dgemma" in channel.first.input_value(), "another log is shown")
    window.picture("log")
    window.close()
