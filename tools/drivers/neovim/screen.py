"""Neovim's screen: turns redraw events into coloured cells, and cells into text and pictures. Knows no process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

WIDTH, HEIGHT = 80, 24

PAPER, INK = 0x14161B, 0xE0E2EA
"""Neovim's default colours."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A character on the screen, or one half of a wide character; ``look`` is Neovim's number for its colours."""

    text: str = " "
    look: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """How a cell is drawn.

    Attributes:
        attributes: Neovim's own, such as "foreground" and "bold".
        groups: the highlight groups that they come from.
    """

    attributes: Mapping[str, Any]
    groups: frozenset[str]


class Screen:
    """The cells as of the last ``flush`` event; between two of them the screen is half drawn."""

    def __init__(self) -> None:
        self.rows = self._blank()
        self.cursor = (0, 0)
        self._drawn = self._blank()
        self._looks = {0: Look({}, frozenset())}

    @property
    def text(self) -> str:
        return "\n".join("".join(cell.text for cell in row).rstrip() for row in self.rows).rstrip()

    @property
    def line(self) -> str:
        """The text of the cursor's row."""
        return "".join(cell.text for cell in self.rows[self.cursor[0]]).rstrip()

    def shows(self, *groups: str) -> bool:
        """Whether any cell is drawn with one of these highlight groups."""
        wanted = frozenset(groups)
        return any(self._looks[cell.look].groups & wanted for row in self.rows for cell in row)

    def take(self, name: str, arguments: list[Any]) -> None:
        """Apply one redraw event."""
        match name:
            case "grid_clear":
                self._drawn = self._blank()
            case "grid_line":
                self._write(*arguments[1:4])
            case "grid_scroll":
                self._scroll(*arguments[1:6])
            case "grid_cursor_goto":
                self.cursor = (arguments[1], arguments[2])
            case "hl_attr_define":
                number, attributes, _, parts = arguments
                groups = frozenset(part.get("hi_name", "") for part in parts)
                self._looks[number] = Look(attributes, groups)
            case "flush":
                self.rows = [list(row) for row in self._drawn]

    def picture(self, title: str) -> str:
        """Draw the screen as SVG, with a block for the cursor."""
        from tools import terminal

        console = terminal.recorder(WIDTH)
        for number in range(HEIGHT):
            console.print(self._painted(number), no_wrap=True, crop=False)
        return terminal.svg(console, title)

    def _painted(self, number: int) -> Any:
        from rich.text import Text

        line = Text()
        for look, cells in groupby(self._pointed(number), key=lambda cell: cell.look):
            line.append("".join(cell.text for cell in cells), style=self._style(look))
        return line

    def _pointed(self, number: int) -> Iterator[Cell]:
        for column, cell in enumerate(self.rows[number]):
            yield Cell(cell.text, -1) if (number, column) == self.cursor else cell

    def _style(self, look: int) -> Any:
        from rich.style import Style

        if look == -1:
            return Style(color=_hex(PAPER), bgcolor=_hex(INK))
        attributes = self._looks[look].attributes
        ink, paper = attributes.get("foreground", INK), attributes.get("background", PAPER)
        if attributes.get("reverse"):
            ink, paper = paper, ink
        return Style(
            color=_hex(ink), bgcolor=_hex(paper), bold=attributes.get("bold"), italic=attributes.get("italic")
        )

    def _write(self, row: int, column: int, cells: list[list[Any]]) -> None:
        look = 0
        for text, *more in cells:
            look = more[0] if more else look
            for _ in range(more[1] if len(more) > 1 else 1):
                self._drawn[row][column] = Cell(text, look)
                column += 1

    def _scroll(self, top: int, bottom: int, left: int, right: int, rows: int) -> None:
        targets = range(top, bottom - rows) if rows > 0 else range(bottom - 1, top - rows - 1, -1)
        for row in targets:
            self._drawn[row][left:right] = self._drawn[row + rows][left:right]

    @staticmethod
    def _blank() -> list[list[Cell]]:
        return [[Cell()] * WIDTH for _ in range(HEIGHT)]


def _hex(colour: int) -> str:
    return f"#{colour:06x}"
