"""The canvas on a terminal while it resolves: the fills of each draft, coloured by confidence, in their lines.

This module knows rich and drafts. It knows nothing about files, options or exit statuses, and writes to stderr only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from dgemma_lsp.text.line_breaks import to_lf
from dgemma_lsp.text.masked import MaskedDocument
from dgemma_model.protocol import Draft, Fill

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

CONTEXT_LINES = 2
SURE = 0.9
HALF_SURE = 0.5

# Text from a model or a file must not control the terminal, so only tab and newline get through.
_CONTROLS: Mapping[int, str] = dict.fromkeys(
    [*range(0x00, 0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)], "\ufffd"
)


class View(Protocol):
    """Shows the drafts of a fill."""

    def loading(self) -> AbstractContextManager[object]:
        """Show that the model is being loaded."""

    def show(self, draft: Draft) -> None:
        """Show a draft in place of the previous one."""


class _Hidden:
    """Shows nothing, because nobody is watching."""

    def loading(self) -> AbstractContextManager[object]:
        return nullcontext()

    def show(self, draft: Draft) -> None:
        pass


@contextmanager
def view(document: MaskedDocument, wanted: bool) -> Iterator[View]:
    """Show the canvas for as long as a fill takes. The last frame stays. Only a terminal on stderr shows anything."""
    # FORCE_COLOR overrules rich's own test, but a redirected stderr must never get frames.
    if not wanted or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _Hidden()
        return
    from rich.console import Console

    shown = _OnTerminal(document, Console(stderr=True, highlight=False))
    try:
        yield shown
    finally:
        shown.stop()


class _OnTerminal:
    """Shows the canvas with rich."""

    def __init__(self, document: MaskedDocument, console: Console) -> None:
        from rich.live import Live

        self._document = document
        self._console = console
        self._live = Live(console=console, auto_refresh=False)

    def loading(self) -> AbstractContextManager[object]:
        return self._console.status("Loading the model …")

    def show(self, draft: Draft) -> None:
        if not self._live.is_started:
            self._live.start()
        self._live.update(frame(self._document, draft), refresh=True)

    def stop(self) -> None:
        if self._live.is_started:
            self._live.stop()


def frame(document: MaskedDocument, draft: Draft) -> Text:
    """Draw the canvas: a headline, then the best alternative's fills between their segments."""
    from rich.text import Text

    fills = draft.alternatives[0]
    picture = Text(no_wrap=False, tab_size=4)
    picture.append(_headline(document, draft) + "\n", style="bold")
    for index, segment in enumerate(document.segments):
        picture.append(_plain(_surrounding(segment, index, len(fills))), style="dim")
        if index < len(fills):
            picture.append_text(_slots(fills[index]))
    picture.rstrip()
    return picture


def _headline(document: MaskedDocument, draft: Draft) -> str:
    confidence = min(fill.confidence for fill in draft.alternatives[0])
    state = "filled" if draft.final else "filling"
    name = _plain(document.path or "the text").replace("\n", " ")
    steps = f"step {draft.step}"
    return f"{name} · {state} · {steps} · {confidence:.0%} sure · {draft.milliseconds:.0f} ms"


def _slots(fill: Fill) -> Text:
    from rich.text import Text

    shown = Text()
    if not fill.slots:
        return shown.append(_plain(fill.text), style=style(fill.confidence, settled=True))
    for slot in fill.slots:
        shown.append(_plain(slot.text), style=style(slot.confidence, slot.settled))
    return shown


def style(confidence: float, settled: bool) -> str:
    """Choose red, yellow or green by how sure the denoiser is, and dim while it may still change its mind.

    Without colour (NO_COLOR), dim still tells the two kinds of slots apart.
    """
    colour = "green" if confidence >= SURE else "yellow" if confidence >= HALF_SURE else "red"
    return colour if settled else f"dim {colour}"


def _surrounding(segment: str, index: int, regions: int) -> str:
    """Return the lines of a segment next to a region. The lines left out between two regions are counted."""
    lines = to_lf(segment).split("\n")
    # The first and the last piece belong to the lines of the regions themselves.
    near = CONTEXT_LINES + 1
    if index == 0:
        return "\n".join(lines[-near:])
    if index == regions:
        return "\n".join(lines[:near])
    if (left_out := len(lines) - 2 * near) <= 1:
        return "\n".join(lines)
    return "\n".join([*lines[:near], f"⋯ {left_out} lines", *lines[-near:]])


def _plain(text: str) -> str:
    return text.translate(_CONTROLS)
