"""Several regions in a preview: stepped through, taken and skipped one by one, and one undo for all of it."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.neovim.conftest import OpenEditor
from tools.drivers.neovim.editor import Editor

Saved = Callable[[Editor], bytes]
Keep = Callable[[Editor, str], None]

HOLES = "".join(f"def f{n}():\n    ...\n\n\n" for n in range(3)).encode()


def filled(*numbers: int) -> bytes:
    """The three holes, those with these numbers filled."""
    content = HOLES.decode().split("...")
    fills = [f"return {n}" if n in numbers else "..." for n in range(3)]
    return "".join(a + b for a, b in zip(content, [*fills, ""], strict=True)).encode()


DECISIONS = [
    ("<CR>", (0, 1, 2)),
    ("yyy", (0, 1, 2)),
    ("yny", (0, 2)),
    ("ny<CR>", (1, 2)),
    ("<Tab>n<CR>", (0, 2)),
    ("<S-Tab>yn<CR>", (1, 2)),
    ("nnn", ()),
    ("yy<Esc>", ()),
]

CONCLUSIONS = [
    "nothing was changed",
    "changed; u takes it back",
    "2 changed; u",
    "3 changed; u takes them back",
]


def test_regions_are_taken_and_skipped(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(HOLES, "--text", "return {n}")
    for keys, taken in DECISIONS:
        editor.command("Dgemma holes")
        editor.wait_for_preview()
        editor.wait_for_screen("...return 2")
        editor.type(keys)
        editor.wait_until_gone("...return")
        editor.wait_for_screen(CONCLUSIONS[len(taken)])
        assert saved(editor) == filled(*taken), keys
        assert "dgemma" not in editor.lua("return vim.fn.execute('nmap <buffer>')"), keys
        if taken:
            editor.type("u")
            assert saved(editor) == HOLES, keys


def test_every_region_is_highlighted_and_the_cursor_steps_through_them(
    open_editor: OpenEditor, keep: Keep
) -> None:
    editor = open_editor(HOLES, "--text", "return {n}")
    editor.command("Dgemma holes")
    editor.wait_for_preview()
    editor.wait_for_screen("...return 0 (1/3)")
    for n in range(3):
        assert f"...return {n}" in editor.screen
    assert editor.cursor == (2, 4)
    editor.type("y")
    editor.wait_for_screen("...return 0 (1/3) taken")
    editor.wait_for_screen("...return 1 (2/3)")
    keep(editor, "holes")
    assert editor.cursor == (6, 4)
    editor.type("n")
    editor.wait_for_screen("...return 2 (3/3)")
    assert "...return 1" not in editor.screen
    editor.type("<Tab>")
    editor.wait(lambda: editor.cursor == (2, 4), "the first region again")


def test_the_keys_of_a_user_come_back(open_editor: OpenEditor) -> None:
    editor = open_editor(HOLES, "--text", "return {n}")
    editor.command("nnoremap <buffer> y :let g:mine = 1<CR>")
    editor.command("Dgemma holes")
    editor.wait_for_preview()
    editor.wait_for_screen("3 changes;")
    editor.type("<Esc>")
    editor.wait_until_gone("...return")
    editor.type("y")
    editor.wait_for_lua("vim.g.mine == 1")


def test_the_key_that_rejects_gives_up_waiting(open_editor: OpenEditor, saved: Saved) -> None:
    editor = open_editor(HOLES + b'# fake: {"step_delay": 0.3}\n', "--text", "return {n}")
    editor.command("Dgemma holes")
    editor.wait_for_screen("dgemma: writing")
    editor.type("<Esc>")
    editor.wait_until_gone("dgemma: writing")
    editor.settle(1.5)
    assert "return" not in editor.screen
    assert saved(editor).startswith(HOLES)
