"""What a user sees when something is wrong: one message with the button that mends it, and an editor that works."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.vscode.conftest import FIXTURES, OpenWindow
from tools.drivers.vscode.code_server import CodeServer
from tools.drivers.vscode.window import Window
from tools.drivers.waiting import wait_until

CRASH = "import sys; sys.exit('ModuleNotFoundError: No module named pygls')"

GREETS_AND_DIES = """
import json, sys
length = int(sys.stdin.buffer.readline().split()[1])
sys.stdin.buffer.readline()
request = json.loads(sys.stdin.buffer.read(length))
answer = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": {"capabilities": {}}})
print(f"Content-Length: {len(answer)}\\r\\n\\r\\n{answer}", end="", flush=True)
sys.stdin.buffer.readline()
sys.exit("MemoryError")
"""

CASES = {
    "no server is installed": (
        {},
        "dgemma-lsp is not installed",
        ["Run in Terminal", "Copy Command", "Name Its Command…"],
        "no server",
    ),
    "the setting names no program": (
        {"dgemma.server.command": ["/no/such/program"]},
        "The setting dgemma.server.command names /no/such/program",
        ["Open Setting"],
        "no server",
    ),
    "the server crashes at start": (
        {"dgemma.server.command": [sys.executable, "-c", CRASH]},
        "ended with status 1 (ModuleNotFoundError: No module named pygls)",
        ["Restart", "Show Log", "Doctor"],
        "failed",
    ),
    "the server ends again and again": (
        {"dgemma.server.command": [sys.executable, "-c", GREETS_AND_DIES]},
        "ended with status 1 (MemoryError), 4 times in a row",
        ["Restart", "Show Log", "Doctor"],
        "failed",
    ),
}


@pytest.mark.parametrize(("settings", "message", "buttons", "status"), CASES.values(), ids=CASES.keys())
def test_one_message_with_a_button(
    open_window: OpenWindow, settings: dict[str, Any], message: str, buttons: list[str], status: str
) -> None:
    window = open_window("vscode/complete.py", settings=settings)
    window.await_status(status)
    window.await_message(message)
    window.picture(f"trouble-{status}")
    assert window.buttons == buttons
    assert len(window.notifications) == 1
    the_editor_works(window)
    window.close()


def test_a_server_whose_python_is_gone_is_installed_anew(open_window: OpenWindow, tmp_path: Path) -> None:
    program = tmp_path / "dgemma-lsp"
    program.write_text("#!/no/such/python3.11\n")
    program.chmod(0o755)
    window = open_window("vscode/complete.py", settings={"dgemma.server.command": [str(program)]})
    window.await_status("failed")
    message = window.await_message(f"{program} cannot be started: the Python it was installed for is gone")
    assert "pipx install dgemma-lsp --force" in message
    assert window.buttons == ["Run in Terminal", "Copy Command", "Name Its Command…"]
    assert len(window.notifications) == 1
    the_editor_works(window)
    window.close()


@pytest.fixture
def pipx(code_server: CodeServer, fake_server: list[str]) -> Iterator[Path]:
    """One that says what it was asked for, and puts a server where pipx puts programs."""
    home = code_server.folder
    installed = home / ".local" / "bin" / "dgemma-lsp"
    program = home / "tools" / "pipx"
    server = f'#!/bin/sh\nexec {shlex.join(fake_server)} "$@"\n'
    script = [
        "#!/bin/sh",
        f'echo "$*" > {home / "asked"}',
        f"mkdir -p {installed.parent}",
        f"printf %s {shlex.quote(server)} > {installed}",
        f"chmod +x {installed}",
    ]
    program.parent.mkdir()
    program.write_text("\n".join(script))
    program.chmod(0o755)
    yield home / "asked"
    shutil.rmtree(program.parent)
    installed.unlink(missing_ok=True)


def test_the_server_is_installed_in_a_terminal_and_starts(open_window: OpenWindow, pipx: Path) -> None:
    window = open_window("vscode/complete.py", settings={})
    window.await_message("You can install it with: pipx install dgemma-lsp")
    assert not pipx.exists(), "nobody has agreed yet"
    window.choose("Run in Terminal")
    window.page.locator(".terminal-wrapper.active").first.wait_for()
    window.await_status("ready")
    window.picture("installed")
    assert pipx.read_text() == "install dgemma-lsp\n"
    window.open_file("complete.py")
    window.go_to(3, 12)
    window.type(" ")
    window.await_ghost("first(1, 2)\n    second = third")
    window.close()


@pytest.fixture
def distrust(code_server: CodeServer) -> Iterator[None]:
    """Folders are opened without trust, and nobody is asked."""
    trust = "security.workspace.trust"
    code_server.configure({f"{trust}.enabled": True, f"{trust}.startupPrompt": "never"})
    yield
    code_server.configure({})


@pytest.mark.usefixtures("distrust")
def test_an_untrusted_folder_cannot_name_a_program(open_window: OpenWindow, fake_server: list[str]) -> None:
    settings = {"dgemma.server.command": fake_server}
    window = open_window("vscode/complete.py", settings=settings, environment=Path(sys.prefix))
    window.await_status("no server")
    window.await_message("dgemma-lsp is not installed")
    window.picture("untrusted")
    window.close()


def the_editor_works(window: Window) -> None:
    window.open_file("complete.py")
    window.go_to(3, 12)
    window.type(" 1")
    original = (FIXTURES / "vscode" / "complete.py").read_bytes()
    assert window.save("complete.py") == original.replace(b"value =", b"value = 1")


def test_wrong_settings_are_named_and_mended(open_window: OpenWindow, fake_server: list[str]) -> None:
    settings = {"dgemma.server.command": fake_server, "dgemma.steps": 9999}
    window = open_window("vscode/complete.py", settings=settings)
    window.await_status("ready")
    window.await_message("Setting steps must be a whole number from 1 to 256, not 9999")
    window.choose("Open Setting")
    window.page.locator(".settings-editor", has_text="denoising steps to take").wait_for()
    window.picture("trouble-setting")


def test_the_walkthrough_opens_and_shows_its_pictures(
    open_window: OpenWindow, fake_server: list[str]
) -> None:
    settings = {"dgemma.server.command": fake_server}
    window = open_window("vscode/complete.py", settings=settings, size=(1600, 800))
    window.await_status("ready")
    window.command("dgemma: Open the Walkthrough")
    steps = window.page.locator(".gettingStartedContainer .getting-started-step")
    for title, picture in {
        "Type, and": "tour.gif",
        "Rewrite a": "rewrite.png",
        "Fill all": "holes.png",
    }.items():
        steps.filter(has_text=title).first.click()
        wait_until(lambda name=picture: name in pictures(window), f"{picture} is not shown")
    window.picture("walkthrough")


def pictures(window: Window) -> str:
    """Sources of the pictures that are really drawn, in whichever frame."""
    script = "() => [...document.images].filter(one => one.naturalWidth > 0).map(one => one.src).join(' ')"
    return " ".join(window.in_frames(script))


def test_the_page_of_the_installed_extension_has_no_broken_pictures(
    open_window: OpenWindow, fake_server: list[str]
) -> None:
    window = open_window("vscode/complete.py", settings={"dgemma.server.command": fake_server})
    window.await_status("ready")
    window.command("Extensions: Show Installed Extensions")
    window.page.locator(".extensions-list .extension-list-item", has_text="dgemma").first.click()
    script = "() => document.querySelectorAll('img').length + ' pictures: ' + document.body.innerText"

    def page() -> str:
        return next((text for text in window.in_frames(script) if "The server never reads files" in text), "")

    wait_until(page, "no page is shown")
    window.picture("extension-page")
    assert page().startswith("0 pictures")
    assert page().count("to be seen by the command dgemma: Open the Walkthrough") == 3
