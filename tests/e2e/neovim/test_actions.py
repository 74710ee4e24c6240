"""Code actions in a real Neovim: previewed, accepted or rejected, undone at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.neovim.conftest import OpenEditor
from tools.drivers.client import instructed_server_command
from tools.drivers.neovim.editor import Editor

Saved = Callable[[Editor], bytes]
Keep = Callable[[Editor, str], None]

FILE = "def area(width, height):\n    # 😋\n    size = '😋' + wrong + 'é'\n    return size\n".encode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_rewrite_is_previewed_and_undone_at_once(
    open_editor: OpenEditor, saved: Saved, keep: Keep, encoding: str
) -> None:
    editor = open_editor(FILE, "--text", "right + '🚀'", encodings=[encoding])
    editor.type("jj0fwviwgR")
    editor.wait_for_screen("wrongright + '🚀'")
    editor.wait_for_screen("<CR> accepts, <Esc> rejects")
    keep(editor, "a rewrite")
    assert saved(editor) == FILE
    editor.type("<CR>")
    editor.wait(lambda: editor.lines[2] == "    size = '😋' + right + '🚀' + 'é'", "the rewritten line")
    assert saved(editor) == FILE.replace(b"wrong", "right + '🚀'".encode())
    editor.type("u")
    assert saved(editor) == FILE


def test_a_rejected_preview_leaves_nothing_behind(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(FILE, "--text", "right")
    before = editor.lua("return vim.fn.maparg('<CR>', 'n')")
    editor.type("jj0fwviwgR")
    editor.wait_for_screen("wrongright")
    editor.type("<Esc>")
    editor.wait_until_gone("wrongright")
    assert editor.lua("return vim.fn.maparg('<CR>', 'n')") == before
    assert saved(editor) == FILE


def test_an_instruction_is_asked_for_and_sent(open_editor: OpenEditor, saved: Saved, keep: Keep) -> None:
    """By a model that does what it is told word by word."""
    editor = open_editor(FILE, cmd=instructed_server_command())
    # What a model can do is known once it is loaded.
    editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
    editor.type("jjV:Dgemma instruct<CR>")
    editor.wait_for_screen("Instruction:")
    keep(editor, "an instruction")
    editor.type("return right<CR>")
    editor.wait_for_preview()
    editor.wait_for_screen("return right")
    assert saved(editor) == FILE
    editor.type("<CR>")
    editor.wait(lambda: "    return right" in editor.lines, "the rewritten line")
    editor.type("u")
    assert saved(editor) == FILE


def test_no_instruction_is_no_wish(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(FILE, cmd=instructed_server_command())
    # What a model can do is known once it is loaded.
    editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
    editor.command("3Dgemma instruct")
    editor.wait_for_screen("Instruction:")
    editor.type("<Esc>")
    editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
    assert editor.mode == "n"
    assert saved(editor) == FILE


def test_lines_are_rewritten_by_the_command(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(FILE.replace(b"\n", b"\r\n"), "--text", "pass\n    return None")
    editor.command("3,4Dgemma rewrite")
    editor.wait_for_preview()
    editor.wait_for_screen("    return None")
    editor.command("Dgemma accept")
    editor.wait(lambda: editor.lines[2:] == ["    pass", "    return None"], "the rewritten lines")
    after = "def area(width, height):\r\n    # 😋\r\n    pass\r\n    return None\r\n"
    assert saved(editor) == after.encode()
    editor.type("u")
    assert saved(editor) == FILE.replace(b"\n", b"\r\n")


def test_all_holes_are_filled_in_one_step(open_editor: OpenEditor, saved: Saved) -> None:
    content = b"def f():\n    ...\n\n\ndef g():\n    ...\n"
    editor = open_editor(content, "--text", "return {n}")
    editor.command("Dgemma holes")
    editor.wait_for_preview()
    editor.wait_for_screen("2 changes; <CR> takes all, <Esc> none, y this one, n not")
    editor.wait_for_screen("return 1")
    editor.type("<CR>")
    editor.wait(lambda: "    return 1" in editor.lines, "both holes")
    assert saved(editor) == b"def f():\n    return 0\n\n\ndef g():\n    return 1\n"
    editor.type("u")
    assert saved(editor) == content


@pytest.mark.parametrize(
    ("command", "content", "keys", "after"),
    [
        (
            "function",
            "def f():\n    ...\n\n\ndef g():\n    ...\n",
            "G",
            "def f():\n    ...\n\n\ndef g():\n    one\n",
        ),
        ("block", "for x in y:\n\nz = 1\n", "", "for x in y:\n    one\n\nz = 1\n"),
        ("arguments", "f = len\nf()\n", "j$", "f = len\nf(one)\n"),
    ],
)
def test_every_other_action_has_its_command(
    open_editor: OpenEditor, saved: Saved, command: str, content: str, keys: str, after: str
) -> None:
    editor = open_editor(content.encode(), "--text", "one")
    editor.type(keys)
    editor.command(f"Dgemma {command}")
    editor.wait_for_screen("one change;")
    editor.type("<CR>")
    editor.wait(lambda: "one" in "\n".join(editor.lines), "the edit")
    assert saved(editor).decode() == after
    editor.type("u")
    assert saved(editor).decode() == content


def test_docstring_and_body_are_written_together(open_editor: OpenEditor, saved: Saved) -> None:
    content = b"def f(x):\n    ...\n"
    editor = open_editor(content, "--text", "one{n}")
    editor.command("Dgemma document")
    editor.wait_for_preview()
    editor.wait_for_screen(" change")
    editor.type("<CR>")
    editor.wait(lambda: "one1" in "\n".join(editor.lines), "the edit")
    assert saved(editor).startswith(b'def f(x):\n    """one0')
    editor.type("u")
    assert saved(editor) == content


def test_where_an_action_makes_no_sense_it_says_so(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n")
    editor.command("Dgemma holes")
    editor.wait_for_screen("dgemma: this file has no holes")


def test_typing_closes_a_preview_and_is_never_overwritten(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(b"def f():\n    ...\n", "--text", "return 7")
    editor.command("Dgemma holes")
    editor.wait_for_preview()
    editor.wait_for_screen("return 7")
    editor.type("x")
    editor.wait_until_gone("return 7")
    editor.type("<CR>")
    editor.settle(0.2)
    assert saved(editor) == b"ef f():\n    ...\n"


def test_a_change_before_the_answer_drops_it(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(b'def f():\n    ...\n# fake: {"step_delay": 0.3}\n', "--text", "return 7")
    editor.type("j^")
    editor.command("Dgemma holes")
    editor.wait_for_screen("dgemma: writing")
    editor.type("x")
    editor.wait_for_screen("The text that the edit belongs to has changed")
    assert saved(editor) == b'def f():\n    ..\n# fake: {"step_delay": 0.3}\n'


def test_waiting_can_be_given_up(open_editor: OpenEditor) -> None:
    editor = open_editor(b'def f():\n    ...\n# fake: {"step_delay": 0.3}\n', "--text", "return 7")
    editor.command("Dgemma holes")
    editor.wait_for_screen("dgemma: writing")
    editor.command("Dgemma reject")
    editor.wait_until_gone("dgemma: writing")
    editor.settle(1.5)
    assert "return 7" not in editor.screen
