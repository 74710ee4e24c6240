"""Where measurements find the files that they work on, and where they keep their results."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"

DEMO = ROOT / "fixtures" / "demo_inventory.py"
LONG = ROOT / "fixtures" / "three_hundred_lines.py"
