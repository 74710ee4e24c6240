"""How the pictures of a tour become a recording."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tools import recordings
from tools.recordings import BRIEF_MS, LONG_MS, Camera, gif, keep, shots


@pytest.fixture
def tour(tmp_path: Path) -> Path:
    """Typing in two pictures, and what comes of it."""
    camera = Camera(tmp_path / "tour")
    for number, caption in enumerate(["Type", "Type", "Ghost text"]):
        Image.new("RGB", (40, 20), (80 * number, 0, 0)).save(f"{camera.path(caption)}.png")
    return camera.folder


def test_what_happens_is_fast_and_what_has_happened_stays(tour: Path) -> None:
    assert [(shot.caption, shot.milliseconds) for shot in shots(tour, "png")] == [
        ("Type", BRIEF_MS),
        ("Type", LONG_MS),
        ("Ghost text", LONG_MS),
    ]


def test_a_gif_shows_each_picture_for_its_time(tour: Path) -> None:
    with Image.open(io.BytesIO(gif(shots(tour, "png")))) as film:
        durations = []
        for number in range(film.n_frames):
            film.seek(number)
            durations.append(film.info["duration"])
    assert durations == [BRIEF_MS, LONG_MS, LONG_MS]


def test_a_camera_forgets_the_tour_before(tour: Path) -> None:
    Camera(tour)
    with pytest.raises(SystemExit, match="has no pictures"):
        shots(tour, "png")


def test_what_is_too_large_for_a_readme_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "MOST_BYTES", 3)
    with pytest.raises(SystemExit, match="would have 4 bytes"):
        keep(tmp_path / "a.gif", b"four")
    assert not (tmp_path / "a.gif").exists()


@pytest.mark.parametrize("recording", [recordings.VSCODE, recordings.NEOVIM], ids=lambda path: path.name)
def test_the_recordings_are_small_enough(recording: Path) -> None:
    assert recording.stat().st_size <= recordings.MOST_BYTES
