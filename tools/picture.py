"""Make docs/fill.svg, the README's picture: the canvas of the demo after each step, as a terminal shows it.

Run it from the repository's root: ``python -m tools.picture``. It fills for real, with the bundled model.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from dgemma_lsp.cli import live
from dgemma_lsp.engines.local import InProcessEngine
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_model.protocol import FillRequest

DEMO = Path("fixtures/demo_inventory.py")


def main() -> None:
    """Fill the demo's two holes and record each frame."""
    text = DEMO.read_text("utf-8")
    first = text.index("...")
    second = text.index("...", first + 3)
    document = MaskedDocument(text, (Region(first, first + 3), Region(second, second + 3)), language="python")
    engine = InProcessEngine(None, "cpu")
    console = Console(
        record=True, width=90, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(f"$ dgemma-edit {DEMO} --span 36:21:36:24 --span 38:16:38:19\n", style="bold")
    for draft in engine.drafts(FillRequest(document.segments, document.present), lambda: False):
        console.print(live.frame(document, draft))
        console.print()
    svg = console.export_svg(title="dgemma-edit")
    # Whoever looks at the picture would fetch its fonts from elsewhere.
    Path("docs/fill.svg").write_text(re.sub(r"@font-face \{[^}]*\}", "", svg), "utf-8")


if __name__ == "__main__":
    main()
