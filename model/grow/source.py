"""What can be grown: a plain network with the tokenizer that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dgemma_model.grow.plain import PlainNetwork

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Special:
    """Ids of the special tokens; `ends` are all tokens that end a text."""

    begin: int | None
    ends: tuple[int, ...]
    pad: int | None


@dataclass(frozen=True, slots=True)
class Source:
    """A pretrained language model.

    Attributes:
        network: its weights.
        tokenizer: the content of its tokenizer.json.
        special: ids in that tokenizer.
        chat_template: the Jinja template of its conversations, where it has one.
    """

    network: PlainNetwork
    tokenizer: Json
    special: Special
    chat_template: str | None


def layer_names(names: Mapping[str, str], layers: int, foreign: str) -> dict[str, str]:
    """Canonical names within all layers → names of a file format, whose prefix of a layer is ``foreign``."""
    return {
        f"layers.{index}.{canonical}": foreign.format(index) + name
        for index in range(layers)
        for canonical, name in names.items()
    }
