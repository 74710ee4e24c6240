"""A tour of the extension with the bundled model; ``tools/recordings.py`` makes an animation of what is kept here."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.e2e.vscode.conftest import FIXTURES, OpenWindow
from tools.drivers.vscode.window import Window
from tools.drivers.waiting import wait_until
from tools.recordings import MOST_BYTES, VSCODE_SHOTS, Camera, gif, shots
from tools.vscode_pictures import SETTINGS

NAME = "inventory.py"
HOLE = "⟨fill⟩".encode()


class Tour:
    """A window, and a camera before it."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.camera = Camera(VSCODE_SHOTS)

    def shoot(self, caption: str, settle_ms: int = 400) -> None:
        self.window.page.wait_for_timeout(settle_ms)  # for what is still moving
        self.window.page.screenshot(path=f"{self.camera.path(caption)}.png")


@pytest.fixture
def tour(open_window: OpenWindow) -> Tour:
    window = open_window(f"tour/{NAME}", settings=SETTINGS, environment=Path(sys.prefix), size=(860, 560))
    window.await_status("ready", seconds=90)
    window.command("View: Close Primary Side Bar")
    window.command("Notifications: Clear All")
    window.focus(NAME)
    return Tour(window)


def original() -> bytes:
    return (FIXTURES / "tour" / NAME).read_bytes()


@pytest.mark.timeout(240)
def test_a_tour_from_the_first_key_to_the_last_undo(tour: Tour) -> None:
    window = tour.window
    type_and_accept(tour)
    typed = window.save(NAME)
    fill_the_holes(tour)
    filled = window.save(NAME)
    assert filled.count(HOLE) < typed.count(HOLE) - 1
    rewrite(tour)
    assert window.save(NAME) != filled
    window.press("Control+z")
    tour.shoot("One undo takes the rewrite back …")
    assert window.save(NAME) == filled
    window.press("Control+z")
    tour.shoot("… and one more all the holes")
    assert window.save(NAME) == typed
    window.undo_all(NAME, original())
    the_recording_is_small_and_moves()


def type_and_accept(tour: Tour) -> None:
    window = tour.window
    line = original().decode().splitlines().index("    def __init__(self, name: str) -> None:") + 1
    window.go_to(line)
    window.press("End")
    window.type("\n        ", delay=0)
    tour.shoot("Type")
    for character in "self.n":
        window.type(character)
        tour.shoot("Type", settle_ms=0)
    if not comes(window):
        window.command("dgemma: Suggest Here")
    ghost = window.await_ghost()
    tour.shoot("Ghost text, from the code on both sides")
    window.press("Tab")
    wait_until(lambda: f"self.n{ghost}".encode() in window.save(NAME), "the ghost text was not accepted")
    tour.shoot("Tab accepts it")


def comes(window: Window) -> bool:
    """Whether there is ghost text by itself: how sure the model is here no test decides."""
    window.page.wait_for_timeout(2000)
    return bool(window.ghost)


def fill_the_holes(tour: Tour) -> None:
    window = tour.window
    window.command("dgemma: Fill All Holes in This File")
    lens = window.page.locator(".codelens-decoration a", has_text="take back")
    wait_until(lambda: lens.count() > 1, "the holes were not filled")
    tour.shoot("All holes are filled at once, in one block")
    window.press("Alt+F5")
    tour.shoot("Go to the next one, keep it or take it back …")
    window.press("Control+Enter")
    wait_until(lambda: lens.count() == 0, "the regions are still shown")
    tour.shoot("… or keep them all")


def rewrite(tour: Tour) -> None:
    """The first selection of which the model makes anything else."""
    window = tour.window
    for words in ("self.items.keys()", "keys()", "self.items.values()", "item.price * item.count"):
        select(window, words)
        tour.shoot("Select, and ask for a rewrite")
        window.command("dgemma: Rewrite Selection")
        wait_until(lambda: window.comparison.count() or window.notifications, "no answer to a rewrite")
        if window.comparison.count():
            break
        window.command("Notifications: Clear All")
    window.await_comparison()
    tour.shoot("It is compared before anything changes", settle_ms=1000)
    window.press("Control+Enter")
    window.comparison.wait_for(state="hidden")
    tour.shoot("Ctrl+Enter accepts it")


def select(window: Window, words: str) -> None:
    before, found, _ = window.save(NAME).decode().partition(words)
    assert found
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    window.select((line, column), (line, column + len(words)))


def the_recording_is_small_and_moves() -> None:
    from PIL import Image

    recording = gif(shots(VSCODE_SHOTS, "png"))
    assert len(recording) <= MOST_BYTES
    with Image.open(io.BytesIO(recording)) as film:
        assert film.n_frames > 1
