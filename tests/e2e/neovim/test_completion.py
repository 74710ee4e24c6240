"""Ghost text in a real Neovim, from the real server with a fake worker: every text is exact."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.neovim.conftest import FLAVOURS, OpenEditor
from tools.drivers.neovim.editor import Editor

whoever_draws = pytest.mark.parametrize("flavour", FLAVOURS, indirect=True)
"""Also where Neovim could draw and the plugin does."""

Saved = Callable[[Editor], bytes]
Keep = Callable[[Editor, str], None]

FILE = b"def area(width, height):\n    return\n\nprint(area(2, 3))\n"


def test_typing_shows_ghost_text_that_is_not_in_the_file(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(FILE, "--text", "width * height")
    editor.type("jA ")
    editor.wait_for_screen("    return width * height")
    assert editor.lines[1] == "    return "
    editor.type("<Esc>")
    editor.wait_until_gone("width * height")
    assert saved(editor) == FILE.replace(b"return", b"return ")


@whoever_draws
def test_accepting_is_one_undo_step(open_editor: OpenEditor, saved: Saved, keep: Keep) -> None:
    editor = open_editor(FILE, "--text", "width * height")
    editor.type("jA ")
    editor.wait_for_screen("return width * height")
    keep(editor, "ghost text")
    editor.type("<Tab>")
    editor.wait(lambda: editor.lines[1] == "    return width * height", "the accepted text")
    assert editor.cursor == (2, 25)
    editor.type("  # px<Esc>")
    assert editor.lines[1] == "    return width * height  # px"
    editor.type("u")
    assert editor.lines[1] == "    return width * height"
    editor.type("u")
    assert editor.lines[1] == "    return "
    editor.type("u")
    assert saved(editor) == FILE


@whoever_draws
def test_a_word_a_line_and_the_rest_are_accepted_one_by_one(
    open_editor: OpenEditor, saved: Saved, keep: Keep
) -> None:
    editor = open_editor(b"def area(width, height):\n", "--text", "size = width * height\n    return size")
    editor.type("o    ")
    editor.wait_for_screen("    size = width * height")
    editor.wait_for_screen("    return size")
    editor.type("<C-f>")
    editor.wait(lambda: editor.lines[1] == "    size", "the first word")
    editor.wait_for_screen("    size = width * height")
    keep(editor, "a word accepted")
    editor.type("<C-f>")
    editor.wait(lambda: editor.lines[1] == "    size =", "the operator")
    editor.type("<C-l>")
    editor.wait(lambda: editor.lines[1] == "    size = width * height", "the rest of the line")
    editor.wait_for_screen("    return size")
    assert len(editor.lines) == 2
    editor.type("<C-l>")
    editor.wait(lambda: editor.lines[1:] == ["    size = width * height", "    return size"], "the next line")
    editor.type("<Esc>")
    for lines in (["    size = width * height"], ["    size ="], ["    size"], ["    "], []):
        editor.type("u")
        assert editor.lines == ["def area(width, height):", *lines]
    assert saved(editor) == b"def area(width, height):\n"


@whoever_draws
def test_typing_along_keeps_the_suggestion_and_repeats_nothing(open_editor: OpenEditor) -> None:
    editor = open_editor(b"x = 1\n", "--text", "print(x)")
    editor.type("o")
    editor.wait_for_screen("print(x)")
    editor.type("pr<Tab>")
    editor.wait(lambda: editor.lines == ["x = 1", "print(x)"], "what was typed, completed once")


def test_typing_something_else_never_leaves_it_in_the_file(open_editor: OpenEditor) -> None:
    editor = open_editor(b'x = 1\n# fake: {"step_delay": 0.3}\n', "--text", "print(x)")
    editor.type("o")
    editor.wait_for_screen("print(x)")
    editor.type("y<Tab>")
    # A tab is typed, or what was found behind the y is accepted: never the old answer in the wrong place.
    editor.settle(0.5)
    assert editor.lines[1] in ("y\t", "y       ", "y")


@whoever_draws
def test_alternatives_are_asked_for_and_cycled(open_editor: OpenEditor, keep: Keep) -> None:
    editor = open_editor(b"def f():\n", "--texts", "alpha()", "beta()", "gamma()")
    editor.type("o    ")
    editor.wait_for_screen("    alpha()")
    editor.type("<C-j>")
    editor.wait_for_screen("    beta() (2/3)")
    keep(editor, "an alternative")
    editor.type("<C-j>")
    editor.wait_for_screen("    gamma() (3/3)")
    editor.type("<C-j>")
    editor.wait_for_screen("    alpha() (1/3)")
    editor.type("<C-k>")
    editor.wait_for_screen("    gamma() (3/3)")
    editor.type("<Tab>")
    editor.wait_for_lines(["def f():", "    gamma()"])


def test_a_guess_that_is_not_sure_comes_only_when_asked_for(open_editor: OpenEditor) -> None:
    editor = open_editor(b"def f():\n", "--text", "alpha()", "--confidence", "0.1")
    editor.type("o    ")
    editor.settle(0.8)
    assert "alpha()" not in editor.screen
    editor.type("<C-b>")
    editor.wait_for_screen("    alpha()")


def test_dismissed_is_gone_until_the_next_keystroke(open_editor: OpenEditor) -> None:
    editor = open_editor(b"def f():\n", "--text", "alpha()")
    editor.type("o    ")
    editor.wait_for_screen("    alpha()")
    editor.type("<C-e>")
    editor.wait_until_gone("alpha()")
    editor.settle(0.5)
    assert "alpha()" not in editor.screen
    assert editor.mode == "i"
    editor.type("x = ")
    editor.wait_for_screen("    x = alpha()")


@pytest.mark.parametrize("command", ["Dgemma %s", "Dgemma! %s", "Dgemma %s python"])
def test_paused_shows_nothing_unless_asked(open_editor: OpenEditor, command: str) -> None:
    editor = open_editor(b"def f():\n", "--text", "alpha()")
    editor.command(command % "pause")
    editor.wait_for_screen("dgemma: paused")
    editor.type("o    ")
    editor.settle(0.8)
    assert "alpha()" not in editor.screen
    editor.type("<C-b>")
    editor.wait_for_screen("    alpha()")
    editor.type("<Esc>S")
    editor.command(command % "resume")
    editor.type("    ")
    editor.wait_for_screen("    alpha()")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_behind_astral_characters_every_byte_is_right(
    open_editor: OpenEditor, saved: Saved, encoding: str
) -> None:
    editor = open_editor("s = '😋é𝒳'\n".encode(), "--text", " + '🚀'", encodings=[encoding])
    assert editor.lua("return vim.lsp.get_clients()[1].offset_encoding") == encoding
    editor.type("A ")
    editor.type("<BS>")
    editor.wait_for_screen("𝒳' + '🚀'")
    editor.type("<Tab>")
    editor.wait_for_lines(["s = '😋é𝒳' + '🚀'"])
    editor.type("<Esc>")
    assert saved(editor) == "s = '😋é𝒳' + '🚀'\n".encode()


def test_windows_line_endings_stay(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(b"def f():\r\n    pass\r\n", "--text", "a = 1\n    b = 2")
    assert editor.lua("return vim.bo.fileformat") == "dos"
    editor.type("Go    ")
    editor.type("<C-b>")
    editor.wait_for_screen("    a = 1")
    editor.type("<Tab>")
    editor.wait(lambda: len(editor.lines) > 2 and "a = 1" in editor.lines[-2], "both lines")
    editor.type("<Esc>")
    content = saved(editor)
    assert content == content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert content.endswith(b"a = 1\r\n    b = 2\r\n")


def test_tabs_are_drawn_as_wide_as_they_are(open_editor: OpenEditor) -> None:
    editor = open_editor(b"def f():\n", "--text", "if x:\n\t\ty()")
    editor.command("setlocal noexpandtab tabstop=4")
    editor.type("o<Tab>")
    editor.type("<C-b>")
    editor.wait_for_screen("\n        y()")
    assert "^I" not in editor.screen


def test_a_late_answer_to_what_was_typed_meanwhile_is_dropped(open_editor: OpenEditor) -> None:
    editor = open_editor(b'x = 1\n# fake: {"step_delay": 0.2}\n', "--text", "print(x)")
    editor.type("o")
    editor.settle(0.4)  # the question is on its way
    editor.type("zzz<Esc>")
    editor.settle(1.0)
    assert "print(x)" not in editor.screen
    assert editor.lines[1] == "zzz"


@whoever_draws
def test_what_is_turned_off_while_the_server_thinks_stays_silent(open_editor: OpenEditor) -> None:
    editor = open_editor(b'x = 1\n# fake: {"step_delay": 0.2}\n', "--text", "print(x)")
    for command in ("Dgemma pause", "lua require('dgemma').dismiss()", "lua require('dgemma').trigger()"):
        editor.command("Dgemma resume")
        editor.type("op")
        editor.settle(0.4)  # the question is on its way
        editor.command(command)
        editor.settle(1.0)
        assert "stack traceback" not in editor.screen
        editor.type("<Esc>")
