"""An hour with the plugin in a minute, with the bundled model: whatever it says, this must hold."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.neovim.conftest import OpenEditor
from tools.drivers.neovim.editor import Editor
from tools.drivers.processes import descendants

Saved = Callable[[Editor], bytes]
Keep = Callable[[Editor, str], None]

FILE = b'''\
"""Boxes."""

import math


class Box:
    def __init__(self, width, height, depth):
        self.width = width
        self.height = height
        self.depth = depth

    def area(self):
        return self.width * self.height

    def volume(self):
        return self.width * self.height * self.depth

    def diagonal(self):
        ...

    def doubled(self):
        ...

    def halved(self):
        ...
'''


@pytest.fixture
def editor(open_editor: OpenEditor, bundled: list[str]) -> Editor:
    """A user who wants to see everything, however unsure the model is."""
    editor = open_editor(FILE, cmd=bundled, init_options={"automatic": {"minConfidence": 0.0}})
    editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
    return editor


def test_type_accept_in_parts_and_undo(editor: Editor, saved: Saved, keep: Keep) -> None:
    editor.type(":16<CR>o    def surface(self):<CR>        return self.")
    ghost = wait_for_ghost(editor)
    before = editor.lines[17]
    keep(editor, "ghost text, bundled model")
    assert before == "        return self."
    editor.type("<C-f>")  # a word
    editor.wait(lambda: len(editor.lines[17]) > len(before), "the first word")
    assert (before + ghost).startswith(editor.lines[17])
    editor.type("<Esc>u")
    editor.wait(lambda: editor.lines[17] == before, "one undo takes the word back")
    editor.type("A")
    ghost = wait_for_ghost(editor)
    editor.type("<C-l>")  # a line
    editor.wait(lambda: editor.lines[17] == before + ghost, "the line")
    editor.type("<Esc>100u")
    assert saved(editor) == FILE


def test_alternatives_are_different_and_the_chosen_one_is_taken(editor: Editor, saved: Saved) -> None:
    editor.type(":16<CR>o        return self.")
    wait_for_ghost(editor)
    editor.type("<C-j>")
    editor.wait_for_screen("/")
    ghosts = set()
    for _ in range(3):
        ghosts.add(wait_for_ghost(editor))
        editor.type("<C-j>")
        editor.settle(0.1)
    chosen, before = wait_for_ghost(editor), editor.lines[16]
    editor.type("<Tab>")
    editor.wait(lambda: editor.lines[16].startswith(before + chosen), "the chosen one")
    editor.type("<Esc>100u")
    assert saved(editor) == FILE


def test_a_rewrite_is_seen_before_it_is_made_and_one_key_takes_it_back(editor: Editor, saved: Saved) -> None:
    editor.type(":13<CR>0ww")
    editor.type("v$hgR")
    answer = wait_for_answer(editor)
    assert saved(editor) == FILE
    if answer == "preview":
        editor.type("<CR>")
        editor.wait(lambda: saved(editor) != FILE, "the rewritten line")
        editor.type("u")
    assert saved(editor) == FILE


def test_three_holes_are_filled_at_once_and_one_key_takes_them_back(
    editor: Editor, saved: Saved, keep: Keep
) -> None:
    editor.command("Dgemma holes")
    if wait_for_answer(editor) == "preview":
        editor.wait_for_screen("3 changes;")
        keep(editor, "holes, bundled model")
        for _ in range(3):
            editor.wait_for_screen("/3)")
            editor.type("y")
        editor.wait(lambda: saved(editor).count(b"...") < 3, "the filled holes")
        fixed = FILE.split(b"...")
        filled = saved(editor)
        for part in fixed:
            assert part in filled
        editor.type("u")
    assert saved(editor) == FILE


def test_giving_up_in_the_middle_leaves_everything_as_it_was(editor: Editor, saved: Saved) -> None:
    for wait in (0.0, 0.02, 0.1):
        editor.command("Dgemma holes")
        time.sleep(wait)
        editor.type("<Esc>")
        editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
        editor.settle(0.3)
        editor.wait_for_lua("not require('dgemma').visible()")
        assert saved(editor) == FILE


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the worker is found as Linux shows it")
def test_a_killed_worker_costs_one_completion(editor: Editor, saved: Saved) -> None:
    (server,) = descendants(editor.process.pid, "dgemma")
    (worker,) = descendants(server, "dgemma_model.worker")
    os.kill(worker, signal.SIGKILL)
    editor.type(":16<CR>o        return self.")
    editor.settle(0.5)  # the first question may be the one that finds the worker dead
    editor.wait(lambda: ask_again(editor), "a completion of a new worker")
    (after,) = descendants(server, "dgemma_model.worker")
    assert after != worker
    editor.type("<Esc>100u")
    assert saved(editor) == FILE


def test_paused_is_silent_and_the_file_is_what_was_typed(editor: Editor, saved: Saved) -> None:
    editor.command("Dgemma pause python")
    editor.type(":16<CR>o        return self.")
    editor.settle(0.8)
    assert not editor.lua("return require('dgemma').visible()")
    editor.command("Dgemma resume python")
    editor.type("w")
    wait_for_ghost(editor)
    editor.type("<Esc>")
    lines = FILE.splitlines(keepends=True)
    lines.insert(16, b"        return self.w\n")
    assert saved(editor) == b"".join(lines)


def wait_for_ghost(editor: Editor) -> str:
    """What is drawn behind the cursor in its line, and is not in the buffer."""
    editor.wait_for_lua("require('dgemma').visible()")
    line = editor.lines[editor.cursor[0] - 1]
    editor.wait(lambda: editor.line.startswith(line) and editor.line != line, f"ghost text behind {line!r}")
    return editor.line[len(line) :].split(" (")[0]


def wait_for_answer(editor: Editor) -> str:
    """Either a preview, or a sentence that says why there is none: the model may have nothing better."""
    preview, sentence = " change", "Nothing better was found"
    editor.wait(lambda: preview in editor.screen or sentence in editor.screen, "an answer")
    return "preview" if preview in editor.screen else sentence


def ask_again(editor: Editor) -> bool:
    editor.type("<C-b>")
    editor.settle(0.4)
    return bool(editor.lua("return require('dgemma').visible()"))
