"""Two small packages that stand for a held-out corpus."""

from __future__ import annotations

import json
from pathlib import Path

SOURCE = '''\
"""An inventory with prices."""

from dataclasses import dataclass, field


@dataclass
class Article:
    """Something to sell – für 5 €."""

    name: str
    price: float = 0.0
    labels: list[str] = field(default_factory=list)

    def discounted(self, percentage: float) -> float:
        """The price after a discount."""
        factor = 1 - percentage / 100
        return round(self.price * factor, 2)


class Inventory:
    """Articles by name."""

    def __init__(self, articles: list[Article]) -> None:
        self.articles = {article.name: article for article in articles}

    def total(self) -> float:
        """What everything costs."""
        return sum(article.price for article in self.articles.values())

    def cheapest(self, count: int = 1) -> list[Article]:
        """The cheapest articles."""
        ordered = sorted(self.articles.values(), key=lambda article: article.price)
        if count > len(ordered):
            raise ValueError(
                f"There are only {len(ordered)} articles.",
            )
        return ordered[:count]
'''
PACKAGES = {"b": [SOURCE], "a": [SOURCE[:700]]}


def write(folder: Path) -> Path:
    """The corpus folder, with a training corpus of the same texts."""
    entries = [
        {"package": name, "path": "x.py", "text": text} for name, texts in PACKAGES.items() for text in texts
    ]
    for name in ("held_out.jsonl", "train.jsonl"):
        (folder / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
    return folder
