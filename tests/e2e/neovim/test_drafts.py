"""What only a canvas can do, in a real Neovim: drafts while it resolves, edits that survive typing, proofreading."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.neovim.conftest import OpenEditor
from tools.drivers.neovim.editor import Editor

Saved = Callable[[Editor], bytes]
Keep = Callable[[Editor, str], None]

FILE = b'x = 1\nsize = wrong + 2\n# fake: {"step_delay": 0.3}\n'


def rewritten(editor: Editor) -> None:
    """Ask for a rewrite of the word that is wrong, and see a draft of it."""
    editor.type("2G0fwviwgR")
    editor.wait_for_screen("wrongright")
    editor.wait(lambda: editor.shows("DiffText"), "a draft")


def test_a_rewrite_is_seen_while_it_resolves(open_editor: OpenEditor, saved: Saved, keep: Keep) -> None:
    editor = open_editor(FILE, "--text", "right")
    rewritten(editor)
    keep(editor, "a draft")
    editor.type("<CR>")  # a draft cannot be accepted
    assert saved(editor) == FILE
    editor.wait_for_screen("one change;")
    assert not editor.shows("DiffText")
    editor.type("<CR>")
    editor.wait(lambda: saved(editor) == FILE.replace(b"wrong", b"right"), "the rewritten word")
    editor.type("u")
    assert saved(editor) == FILE


def test_all_holes_are_seen_while_they_resolve(open_editor: OpenEditor, keep: Keep) -> None:
    content = (
        b'x = \xe2\x9f\xa8fill\xe2\x9f\xa9\ny = \xe2\x9f\xa8fill\xe2\x9f\xa9\n# fake: {"step_delay": 0.3}\n'
    )
    editor = open_editor(content, "--text", "right{n}")
    editor.command("Dgemma holes")
    editor.wait_for_screen("x = ⟨fill⟩right0")
    editor.wait_for_screen("y = ⟨fill⟩right1")
    assert editor.shows("DiffText")
    keep(editor, "drafts of holes")
    editor.wait_for_screen("2 changes;")


def test_the_key_that_rejects_gives_up_a_draft(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(FILE, "--text", "right")
    rewritten(editor)
    editor.type("<Esc>")
    editor.wait_until_gone("wrongright")
    editor.settle(1.5)
    assert "right" not in editor.screen
    assert saved(editor) == FILE


def test_an_edit_survives_typing_elsewhere(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(FILE, "--text", "right")
    rewritten(editor)
    editor.type("ggOy = 0<Esc>")
    editor.wait_for_screen("one change;")
    editor.type("<CR>")
    wanted = b"y = 0\n" + FILE.replace(b"wrong", b"right")
    editor.wait(lambda: saved(editor) == wanted, "the rewritten word")


def test_drafts_can_be_turned_off(open_editor: OpenEditor) -> None:
    editor = open_editor(FILE, "--text", "right", drafts=False)
    editor.type("2G0fwviwgR")
    editor.wait_for_screen("dgemma: writing")
    while "one change;" not in editor.screen:
        assert not editor.shows("DiffText")
        editor.settle(0.05)


def test_what_surprises_the_model_is_a_hint_with_a_quick_fix(
    open_editor: OpenEditor, saved: Saved, keep: Keep
) -> None:
    content = "name = '😋'\nprint('😋', wrong_name)\n".encode()
    column = content.splitlines()[1].index(b"wrong")
    editor = open_editor(content)
    editor.command("Dgemma proofread")
    editor.wait_for_screen("one place looks odd; ]d goes there, gra fixes it")
    editor.wait(lambda: editor.shows("DiagnosticUnderlineHint"), "the hint")
    editor.type("]d")
    editor.wait(lambda: editor.cursor == (2, column), "the place")
    keep(editor, "a hint")
    editor.type("gra")
    editor.wait_for_screen("1: Replace with right_name")
    editor.wait_for_screen("Type number")
    keep(editor, "a quick fix")
    editor.type("1<CR>")
    editor.wait_for_screen("print('😋', right_name)")
    editor.wait(lambda: saved(editor) == content.replace(b"wrong", b"right"), "the word replaced")
    editor.wait(lambda: not editor.shows("DiagnosticUnderlineHint"), "the hint gone")
    editor.type("u")
    assert saved(editor) == content


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("rewrite gently", "one change;"),
        ("rewrite anew", "one change;"),
        ("instruct", "this model cannot follow instructions"),
        ("proofread", "nothing looks wrong here"),
    ],
)
def test_the_other_wishes_have_their_commands(open_editor: OpenEditor, command: str, sentence: str) -> None:
    editor = open_editor(b"size = wrong\n", "--text", "right")
    editor.command(f"Dgemma {command}")
    editor.wait_for_screen(sentence)
