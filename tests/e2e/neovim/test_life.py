"""The server's life as a user of Neovim sees it: missing, loading, killed, restarted, the bundled model."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dgemma_lsp import __version__
from tests.e2e.neovim.conftest import OpenEditor
from tools.drivers.client import server_command
from tools.drivers.fake_worker import WorkerLog
from tools.drivers.neovim.editor import Editor
from tools.drivers.neovim.user import PLUGIN
from tools.drivers.processes import descendants

Saved = Callable[[Editor], bytes]
Keep = Callable[[Editor, str], None]

CLIENTS = "#vim.lsp.get_clients({ name = 'dgemma' })"


def test_a_missing_server_is_told_once_and_typing_goes_on(
    open_editor: OpenEditor, saved: Saved, keep: Keep
) -> None:
    editor = open_editor(b"x = 1\n", cmd=["no-such-dgemma-lsp", "--stdio"], attached=False)
    editor.wait_for_screen("pipx install dgemma-lsp")
    keep(editor, "no server")
    editor.type("oy = 2<Tab><Esc>")
    editor.command("edit other.py")
    editor.settle(0.3)
    assert editor.mode == "n"
    assert said(editor).count("pipx install dgemma-lsp") == 1
    editor.command("buffer edited.py")
    assert editor.lua(f"return {CLIENTS}") == 0
    assert saved(editor).startswith(b"x = 1\ny = 2")


def test_loading_is_shown_and_typing_does_not_wait(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", "--load-delay", "1.5", "--text", "print(x)")
    editor.wait_for_screen("dgemma: loading the model")
    editor.wait(lambda: "oading" in editor.lua("return vim.lsp.status()"), "what vim.lsp.status tells")
    editor.type("oy = 2<CR>")
    editor.wait(lambda: editor.lines == ["x = 1", "y = 2", ""], "what was typed")
    editor.wait_until_gone("dgemma: loading the model")
    editor.type("p")
    editor.type("<BS>")
    editor.wait_for_screen("print(x)")


def test_who_types_before_the_server_is_there_gets_ghost_text_all_the_same(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", "--load-delay", "0.5", "--text", "print(x)", attached=False)
    editor.type("o")
    editor.wait_for_screen("print(x)")


def test_a_language_that_is_enabled_in_neovim_is_enabled_in_the_server(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", "--text", "print(x)", filetypes=["python", "lua"])
    editor.command("edit other.lua")
    editor.wait_for_server()
    editor.type("ilocal x = 1<CR>")
    editor.wait_for_screen("print(x)")


def test_a_failure_of_the_model_does_not_stop_the_user(open_editor: OpenEditor) -> None:
    reason = (
        "The folder of the model, which has a very long name indeed, does not hold any weights at all. " * 3
    )
    editor = open_editor(b"x = 1\n", "--fail", reason)
    editor.wait_for_screen("(:Dgemma log)")
    editor.wait_for_screen("dgemma: error")
    editor.type("oy = 2<Esc>")
    editor.wait_for_lines(["x = 1", "y = 2"])
    editor.command("Dgemma log")
    editor.wait(lambda: reason.strip() in "\n".join(editor.lines), "the whole sentence")


def test_the_server_is_installed_where_the_user_agrees(open_editor: OpenEditor, tmp_path: Path) -> None:
    """By a pipx that puts a command where pipx puts commands, which is not in the PATH."""
    tools, installed = tmp_path / "tools", tmp_path / "home/.local/bin"
    server = shlex.join(server_command("--text", "print(x)"))
    script = f"mkdir -p {installed}; printf '#!/bin/sh\\nexec %s\\n' {shlex.quote(server)} > {installed}/dgemma-lsp"
    write_script(tools / "pipx", f'echo "pipx $*"\n{script}\nchmod +x {installed}/dgemma-lsp\n')
    editor = open_editor(b"x = 1\n", cmd=["dgemma-lsp"], attached=False, path=f"{tools}:/usr/bin:/bin")
    editor.wait_for_screen(":Dgemma install runs `pipx install dgemma-lsp`")
    editor.type(":Dgemma install<CR>")
    editor.wait_for_screen("(Y)es, [N]o")
    editor.type("n")
    editor.settle(0.3)
    assert not installed.exists()
    editor.type(":Dgemma install<CR>")
    editor.wait_for_screen("(Y)es, [N]o")
    editor.type("y")
    editor.wait_for_screen("pipx install dgemma-lsp")
    editor.wait_for_lua(f"{CLIENTS} == 1")
    editor.command("close | buffer edited.py")
    editor.wait_for_server()
    editor.type("o")
    editor.wait_for_screen("print(x)")


def write_script(path: Path, body: str, interpreter: str = "/bin/sh") -> None:
    path.parent.mkdir()
    path.write_text(f"#!{interpreter}\n{body}")
    path.chmod(0o755)


def test_a_server_that_cannot_start_is_told_once_with_what_to_do(
    open_editor: OpenEditor, saved: Saved, keep: Keep
) -> None:
    broken = [sys.executable, "-c", "import sys; sys.exit('No module named pygls')"]
    editor = open_editor(b"x = 1\n", cmd=broken, attached=False)
    editor.wait_for_screen("dgemma: the server ended; :Dgemma restart, or :checkhealth dgemma")
    keep(editor, "a server that fails")
    editor.type("oy = 2<Esc>")
    assert editor.mode == "n"
    assert said(editor).count("ended") == 1
    assert "quit with exit code" not in said(editor)
    assert saved(editor) == b"x = 1\ny = 2\n"
    editor.command("checkhealth dgemma")
    assert "failed: No module named pygls" in "\n".join(editor.lines)


def test_a_server_whose_python_is_gone_is_told_once_with_what_to_do(
    open_editor: OpenEditor, saved: Saved, tmp_path: Path, keep: Keep
) -> None:
    """As it is after the interpreter was upgraded."""
    program = tmp_path / "tools" / "dgemma-lsp"
    write_script(program, "", interpreter="/no/such/python3.11")
    shutil.copy("/bin/true", tmp_path / "tools" / "pipx")
    path = f"{program.parent}:/usr/bin:/bin"
    editor = open_editor(b"x = 1\n", cmd=["dgemma-lsp", "--stdio"], attached=False, path=path)
    editor.wait_for_screen("the Python of the server is gone; :Dgemma install repairs it")
    keep(editor, "a server whose Python is gone")
    editor.type("oy = 2<Esc>")
    editor.command("edit other.py")
    editor.settle(0.3)
    assert said(editor).count("is gone") == 1
    editor.command("checkhealth dgemma")
    assert "/no/such/python3.11" in "\n".join(editor.lines)
    editor.command("buffer edited.py")
    assert saved(editor) == b"x = 1\ny = 2\n"
    editor.type(":Dgemma install<CR>")
    editor.wait_for_screen("Run `pipx install --force dgemma-lsp`?")
    editor.type("n")


def test_a_setting_with_a_wrong_value_is_told_and_the_rest_works(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", "--text", "print(x)", init_options={"steps": "many"})
    editor.wait_for_screen("Setting steps must be a whole number")
    assert said(editor).count("Setting steps") == 1
    editor.type("o")
    editor.wait_for_screen("print(x)")


def test_an_option_with_a_wrong_value_is_told_and_the_default_used(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", "--text", "print(x)", ghost_text=7)
    editor.wait_for_screen("Option ghost_text in vim.g.dgemma must be a string")
    editor.type("o")
    editor.wait_for_screen("print(x)")


def said(editor: Editor) -> str:
    return str(editor.ask("nvim_exec2", "messages", {"output": True})["output"])


def test_why_nothing_is_shown_can_be_asked(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", "--text", "print(x)", "--confidence", "0.1")
    # That the model is loaded would be the last thing said, if it were said after the answer.
    editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
    editor.type("o")
    editor.wait_for_lua("require('dgemma.status').sentence():find('10%% sure')")
    editor.type("<Esc>:Dgemma status<CR>")
    editor.wait_for_screen("dgemma: nothing was shown: The model is 10% sure")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing is killed so here")
def test_a_killed_worker_is_replaced(open_editor: OpenEditor, tmp_path: Path) -> None:
    log = WorkerLog(tmp_path / "worker.log")
    editor = open_editor(b"x = 1\n", "--text", "print(x)", "--log", str(log.path))
    (started,) = log.await_entries("started")
    log.await_entries("ready")
    os.kill(started["pid"], signal.SIGKILL)
    editor.type("o")
    editor.settle(0.7)  # the first question may be the one that finds the worker dead
    editor.type("p")
    editor.type("<BS>")
    editor.wait_for_screen("print(x)")
    assert editor.mode == "i"


def test_the_server_can_be_restarted(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", "--text", "print(x)")
    (before,) = editor.lua("return vim.tbl_map(function(c) return c.id end, vim.lsp.get_clients())")
    editor.command("Dgemma restart")
    editor.wait_for_lua(f"{CLIENTS} == 1 and vim.lsp.get_clients()[1].id ~= {before}")
    editor.wait_for_lua("vim.lsp.get_clients()[1].initialized")
    editor.type("o")
    editor.wait_for_screen("print(x)")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the server is found as Linux shows it")
def test_a_server_that_was_killed_can_be_started_again(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", "--text", "print(x)")
    (server,) = descendants(editor.process.pid, "dgemma_lsp")
    os.kill(server, signal.SIGKILL)
    editor.wait_for_screen("dgemma: the server ended; :Dgemma restart")
    editor.wait_for_lua(f"{CLIENTS} == 0")
    editor.command("Dgemma restart")
    editor.wait_for_lua(f"{CLIENTS} == 1 and vim.lsp.get_clients()[1].initialized")
    editor.type("o")
    editor.wait_for_screen("print(x)")


def test_the_log_holds_what_the_server_said(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", "--text", "print(x)")
    editor.type("o")
    editor.wait_for_screen("print(x)")
    editor.type("<Esc>:Dgemma log<CR>")
    editor.wait(lambda: "Completed in" in "\n".join(editor.lines), "the server's own words")


def test_checkhealth_says_what_is_there(open_editor: OpenEditor, bundled: list[str]) -> None:
    editor = open_editor(b"x = 1\n", cmd=bundled)
    editor.command("checkhealth dgemma")
    said = "\n".join(editor.lines)
    assert "ERROR" not in said
    assert "WARN" not in said
    for part in (bundled[0], "dgemma-lsp 0.", "Python 3.", "client 1", "announces inline completion"):
        assert part in said


def test_the_doctor_says_how_fast_a_fill_is(open_editor: OpenEditor, bundled: list[str]) -> None:
    editor = open_editor(b"x = 1\n", cmd=bundled)
    editor.command("Dgemma doctor")
    editor.wait_for_screen("a fill ")
    assert f"dgemma-lsp {__version__}" in "\n".join(editor.lines)


def test_nothing_is_loaded_before_it_is_needed(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", cmd=["no-such-dgemma-lsp"], attached=False, statusline=False)
    editor.command("enew | set filetype=text")
    loaded = editor.lua(
        "return vim.tbl_filter(function(n) return n:find('^dgemma') end, vim.tbl_keys(package.loaded))"
    )
    assert set(loaded) <= {f"dgemma.{name}" for name in ("server", "config", "messages", "installer")}


def test_every_help_tag_is_found(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", cmd=["no-such-dgemma-lsp"], attached=False)
    editor.command("helptags ALL")
    editor.command("help dgemma")
    assert editor.lua("return vim.fn.expand('%:t')") == "dgemma.txt"
    text = (PLUGIN / "doc/dgemma.txt").read_text("utf-8")
    own = set(re.findall(r"\*(\S+)\*(?=\s)", text))
    named = set(re.findall(r"\|(\S+?)\|", text))
    if editor.lua("return vim.fn.has('nvim-0.12')") == 0:
        named -= {"hl-ComplHint", "vim.lsp.inline_completion"}
    known = editor.lua(
        "return vim.tbl_map(function(t) return vim.fn.getcompletion(t, 'help') end, ...)", [*named, *own]
    )
    unknown = {tag for tag, found in zip([*named, *own], known, strict=True) if tag not in found}
    # Neovim 0.12 tags its modules as lsp-….
    assert unknown <= {"vim.lsp.inline_completion"}


def test_the_bundled_model_completes_and_undo_takes_it_back(
    open_editor: OpenEditor, saved: Saved, bundled: list[str]
) -> None:
    content = b"def area(width, height):\n    size = width * height\n    return\n"
    editor = open_editor(content, cmd=bundled)
    editor.type("GA ")
    editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
    editor.type("<C-b>")
    editor.wait(lambda: bool(editor.lua("return require('dgemma').visible()")), "a completion")
    editor.type("<Tab>")
    editor.wait(lambda: editor.lines[2] != "    return ", "the accepted text")
    assert editor.lines[2].startswith("    return ")
    editor.type("<Esc>uu")
    assert saved(editor) == content
