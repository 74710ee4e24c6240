"""Pictures of terminals, as SVG."""

from __future__ import annotations

import io
import re

from rich.console import Console


def recorder(width: int) -> Console:
    """Make a console that shows nothing, and records what it is told to print in all colours."""
    return Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )


def svg(console: Console, title: str) -> str:
    """Draw what a console has recorded, without the web fonts that whoever looks at the picture would download."""
    return re.sub(r"@font-face \{[^}]*\}", "", console.export_svg(title=title))
