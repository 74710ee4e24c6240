"""The tree of settings as a table: one entry a setting, with its type, its default and its description."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, get_type_hints

from dgemma_lsp.settings.settings import Settings, UserOnly
from dgemma_lsp.settings.value_types import ValueType

PREFIX = "DGEMMA_"
"""How the names of our environment variables begin."""

SettingPath = tuple[str, ...]
"""The names of the fields that lead from the root of the tree to a setting."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting.

    Attributes:
        path: where it is in the tree.
        type: what values it may have.
        default: its value if nobody has chosen one.
        description: what it means.
        user_only: whether no project may choose it.
    """

    path: SettingPath
    type: ValueType
    default: Any
    description: str
    user_only: bool

    @property
    def name(self) -> str:
        """The name that users write."""
        return written(self.path)

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + "_".join(self.path).upper()


@cache
def leaves() -> tuple[Leaf, ...]:
    """Return all settings, in the order of the tree."""
    return tuple(_leaves(Settings(), ()))


def _leaves(tree: Any, path: SettingPath) -> Iterator[Leaf]:
    hints, texts = get_type_hints(type(tree), include_extras=True), descriptions(type(tree))
    for field in fields(tree):
        value, here = getattr(tree, field.name), (*path, field.name)
        if is_branch(value):
            yield from _leaves(value, here)
        else:
            type_, *marks = hints[field.name].__metadata__
            yield Leaf(here, type_, value, texts[field.name], UserOnly() in marks)


def is_branch(value: object) -> bool:
    """Return whether a field holds settings, not a value."""
    return is_dataclass(value) and not isinstance(value, type)


def descriptions(tree: type) -> dict[str, str]:
    """Return what the docstring of a class says about its attributes."""
    _, _, attributes = (tree.__doc__ or "").partition("Attributes:\n")
    entries = re.split(r"\n\s{8}(?=\w+: )", "\n" + attributes.rstrip())
    named = (entry.partition(": ") for entry in entries if entry.strip())
    return {name: " ".join(text.split()) for name, _, text in named}


def written(path: SettingPath) -> str:
    """Return the name of a setting as users write it: automatic.minConfidence."""
    return ".".join(map(camel, path))


def camel(name: str) -> str:
    """Return a field's name in camelCase."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def plain(value: Any) -> Any:
    """Return a setting's value as JSON has it."""
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value
