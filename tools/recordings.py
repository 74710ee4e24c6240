"""Makes the animated recordings of both editors from pictures that tests take of the screen.

``make recordings`` runs the tours of ``tests/e2e`` and then this module. A tour takes a picture of each important
moment, and the name of the file says what was done. Pictures of the same name follow each other quickly, and the last
of them stays for a while.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache"

VSCODE_SHOTS = CACHE / "pictures" / "vscode" / "tour"
NEOVIM_SHOTS = CACHE / "screens" / "0.12" / "tour"

VSCODE = ROOT / "editors" / "vscode" / "media" / "tour.gif"
NEOVIM = ROOT / "docs" / "neovim-tour.svg"

MOST_BYTES = 1_000_000
"""The largest allowed recording; people read READMEs on telephones, too."""

BRIEF_MS, LONG_MS = 130, 2200

CAPTION_HEIGHT = 34
PAPER, INK = "#1b2430", "#ffffff"


@dataclass(frozen=True)
class Shot:
    """A picture of the screen, with a caption that says what was done, and how long it is shown."""

    picture: Path
    caption: str
    milliseconds: int


class Camera:
    """Names the pictures of a tour, in a folder that contains no others."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self._count = 0

    def path(self, caption: str) -> Path:
        """Return the path of the next picture, without its extension."""
        self._count += 1
        return self.folder / f"{self._count:02} {caption}"


def main() -> None:
    """Make both recordings."""
    keep(VSCODE, gif(shots(VSCODE_SHOTS, "png")))
    keep(NEOVIM, svg(shots(NEOVIM_SHOTS, "svg")))


def keep(path: Path, recording: bytes) -> None:
    if len(recording) > MOST_BYTES:
        raise SystemExit(f"{path.name} would have {len(recording)} bytes; {MOST_BYTES} are allowed.")
    path.write_bytes(recording)


def shots(folder: Path, ending: str) -> list[Shot]:
    """Find the pictures of a tour, in their order."""
    pictures = sorted(folder.glob(f"*.{ending}"))
    if not pictures:
        raise SystemExit(f"{folder} has no pictures; make recordings runs the tours first.")
    captions = [picture.stem.partition(" ")[2] for picture in pictures]
    brief = [caption == following for caption, following in pairwise(captions)] + [False]
    return [
        Shot(picture, caption, BRIEF_MS if is_brief else LONG_MS)
        for picture, caption, is_brief in zip(pictures, captions, brief, strict=True)
    ]


def gif(shots: Sequence[Shot]) -> bytes:
    """Make a GIF, which GitHub, editors and package registries all can show."""
    from PIL import Image

    frames = [_captioned(shot) for shot in shots]
    # One palette for all frames: otherwise colours would flicker, and unchanged parts could not be left out.
    everything = Image.new("RGB", (frames[0].width, sum(frame.height for frame in frames)))
    for number, frame in enumerate(frames):
        everything.paste(frame, (0, number * frame.height))
    palette = everything.quantize(255, method=Image.Quantize.MEDIANCUT)
    plain = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    file = io.BytesIO()
    durations = [shot.milliseconds for shot in shots]
    first, *others = plain
    first.save(file, "GIF", save_all=True, append_images=others, duration=durations, loop=0, optimize=True)
    return file.getvalue()


def _captioned(shot: Shot) -> Image.Image:
    from PIL import Image, ImageDraw, ImageFont

    with Image.open(shot.picture) as picture:
        frame = Image.new("RGB", (picture.width, picture.height + CAPTION_HEIGHT), PAPER)
        frame.paste(picture, (0, CAPTION_HEIGHT))
    draw = ImageDraw.Draw(frame)
    middle = (frame.width / 2, CAPTION_HEIGHT / 2)
    draw.text(middle, shot.caption, INK, ImageFont.load_default(17), anchor="mm")
    return frame


def svg(shots: Sequence[Shot]) -> bytes:
    """Stack the pictures, each visible in its turn: sharp at every size, and no player is needed."""
    total = sum(shot.milliseconds for shot in shots)
    first = shots[0].picture.read_text("utf-8")
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', first)
    assert size, "a picture without a size"
    width, height = float(size[1]), float(size[2])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + CAPTION_HEIGHT}">',
        f"<style>{''.join(_timing(shots, total))}</style>",
        f'<rect width="{width}" height="{height + CAPTION_HEIGHT}" rx="8" fill="{PAPER}"/>',
        *(_frame(number, shot, width) for number, shot in enumerate(shots)),
        "</svg>\n",
    ]
    return "\n".join(parts).encode()


def _timing(shots: Sequence[Shot], total: int) -> Iterator[str]:
    """Yield the rules that show one picture after another; readers who prefer no motion see the last one."""
    yield (
        f".shot{{visibility:hidden;animation:{total}ms step-end infinite}}"
        f"@media(prefers-reduced-motion){{.shot{{animation:none}}#shot{len(shots) - 1}{{visibility:visible}}}}"
    )
    begin = 0
    for number, shot in enumerate(shots):
        start, end = (100 * time / total for time in (begin, begin + shot.milliseconds))
        yield (
            f"@keyframes shot{number}"
            f"{{0%{{visibility:hidden}}{start:.3f}%{{visibility:visible}}{end:.3f}%{{visibility:hidden}}}}"
            f"#shot{number}{{animation-name:shot{number}}}"
        )
        begin += shot.milliseconds


def _frame(number: int, shot: Shot, width: float) -> str:
    from xml.sax.saxutils import escape

    picture = shot.picture.read_text("utf-8")
    caption = (
        f'<text x="{width / 2}" y="23" fill="{INK}" font-family="sans-serif" font-size="18" '
        f'text-anchor="middle">{escape(shot.caption)}</text>'
    )
    moved = f'<g transform="translate(0 {CAPTION_HEIGHT})">{picture}</g>'
    return f'<g class="shot" id="shot{number}">{caption}{moved}</g>'


if __name__ == "__main__":
    main()
