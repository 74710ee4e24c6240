"""Made-up code and entries of the table of packages, for tests of the corpus."""

from __future__ import annotations

import json


def code(name: str, lines: int = 30) -> str:
    """A made-up module, all of whose lines contain ``name``."""
    return "".join(f"def {name}_{i}(value):  # {name}\n" for i in range(lines))


def row(name: str = "p", licence: str = "MIT", split: str = "train", sha256: str = "00") -> str:
    """An entry of a table of packages."""
    values = {"name": name, "version": "1.0", "licence": licence, "sha256": sha256, "split": split}
    return "[[package]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
