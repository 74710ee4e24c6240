"""A tour of the plugin with the bundled model; ``tools/recordings.py`` makes an animation of what is kept here."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from tests.e2e.neovim.conftest import SCREENS, Flavour, OpenEditor
from tools.drivers.neovim.editor import Editor
from tools.drivers.neovim.install import ROOT
from tools.recordings import MOST_BYTES, Camera, shots, svg

Saved = Callable[[Editor], bytes]

FILE = (ROOT / "fixtures" / "tour" / "inventory.py").read_bytes()
HOLE = "⟨fill⟩".encode()


class Tour:
    """An editor, and a camera before it."""

    def __init__(self, editor: Editor, camera: Camera) -> None:
        self.editor = editor
        self.camera = camera

    def shoot(self, caption: str, settle: float = 0.2) -> None:
        self.editor.settle(settle)
        self.editor.keep(self.camera.path(caption), "inventory.py in Neovim")


@pytest.fixture
def tour(open_editor: OpenEditor, bundled: list[str], flavour: Flavour) -> Tour:
    editor = open_editor(FILE, cmd=bundled, init_options={"rewrite": {"strength": 1}})
    editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
    editor.command("set scrolloff=5 number")
    return Tour(editor, Camera(SCREENS / flavour.name / "tour"))


def test_a_tour_from_the_first_key_to_the_last_undo(tour: Tour, saved: Saved) -> None:
    editor = tour.editor
    type_and_accept(tour)
    typed = saved(editor)
    fill_the_holes(tour)
    filled = saved(editor)
    assert filled.count(HOLE) < typed.count(HOLE) - 1
    rewrite(tour)
    assert saved(editor) != filled
    editor.type("u")
    tour.shoot("One u takes the rewrite back …")
    assert saved(editor) == filled
    editor.type("u")
    tour.shoot("… and one more all the holes")
    assert saved(editor) == typed
    editor.type("100u")
    assert saved(editor) == FILE
    the_recording_is_small_and_moves(tour)


def type_and_accept(tour: Tour) -> None:
    editor = tour.editor
    line = FILE.decode().splitlines().index("    def __init__(self, name: str) -> None:") + 1
    editor.type(f":{line}<CR>o        ")
    tour.shoot("Type")
    for character in "self.n":
        editor.type(character)
        tour.shoot("Type", settle=0)
    # How sure the model is here no test decides.
    if not editor.comes(lambda: bool(editor.lua("return require('dgemma').visible()")), seconds=3):
        editor.type("<C-b>")
    editor.wait_for_lua("require('dgemma').visible()")
    tour.shoot("Ghost text, from the code on both sides")
    ghost = editor.line[editor.line.index("self.n") :]
    editor.type("<Tab>")
    editor.wait(lambda: ghost in editor.lines[line], "the accepted text")
    tour.shoot("Tab accepts it")
    editor.type("<Esc>")


def fill_the_holes(tour: Tour) -> None:
    editor = tour.editor
    editor.command("Dgemma holes")
    editor.wait_for_preview()
    editor.wait_for_screen(" changes;")
    tour.shoot("All holes are filled at once, in one block")
    editor.type("y")
    editor.wait_for_screen("(2/")
    tour.shoot("y takes one and goes to the next, n leaves it …")
    editor.type("<CR>")
    editor.wait_for_screen("changed; u takes")
    tour.shoot("… and Enter takes them all")


def rewrite(tour: Tour) -> None:
    """The first selection of which the model makes anything else."""
    editor = tour.editor
    for words in ("self.items.keys()", "keys()", "self.items.values()", "item.price * item.count"):
        row, line = next((number, line) for number, line in enumerate(editor.lines, 1) if words in line)
        editor.command(f"call cursor({row}, {line.index(words) + 1})")
        editor.type(f"v{len(words) - 1}l")
        tour.shoot("Select, and ask for a rewrite")
        editor.type("gR")
        editor.wait(lambda: "one change;" in editor.screen or "Nothing better" in editor.screen, "an answer")
        if "one change;" in editor.screen:
            break
    editor.wait_for_preview()
    tour.shoot("Nothing changes before Enter accepts it")
    editor.type("<CR>")
    editor.wait_for_screen("changed; u takes it back")
    tour.shoot("Accepted")


def the_recording_is_small_and_moves(tour: Tour) -> None:
    kept = shots(tour.camera.folder, "svg")
    recording = svg(kept)
    assert len(recording) <= MOST_BYTES
    frames = [part for part in ElementTree.fromstring(recording) if part.get("class") == "shot"]
    assert len(frames) == len(kept) > 1
