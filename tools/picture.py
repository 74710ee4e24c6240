"""Make docs/fill.svg, the README's picture of the demo: the canvas after each step, as a terminal shows it.

Run it from the repository's root: ``python -m tools.picture``. The bundled model really fills the demo.
"""

from __future__ import annotations

from pathlib import Path

from dgemma_lsp.cli import live
from dgemma_lsp.engines.local import InProcessEngine
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_model.protocol import FillRequest
from tools import terminal

DEMO = Path("fixtures/demo_inventory.py")


def main() -> None:
    """Fill the demo's two holes, and draw every draft."""
    text = DEMO.read_text("utf-8")
    first = text.index("...")
    second = text.index("...", first + 3)
    document = MaskedDocument(text, (Region(first, first + 3), Region(second, second + 3)), language="python")
    engine = InProcessEngine()
    console = terminal.recorder(width=90)
    console.print(f"$ dgemma-edit {DEMO} --span 36:21:36:24 --span 38:16:38:19\n", style="bold")
    for draft in engine.drafts(FillRequest(document.segments, document.present), lambda: False):
        console.print(live.frame(document, draft))
        console.print()
    Path("docs/fill.svg").write_text(terminal.svg(console, "dgemma-edit"), "utf-8")


if __name__ == "__main__":
    main()
