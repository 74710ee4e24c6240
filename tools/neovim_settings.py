"""Writes the server's settings into the Neovim plugin: into ``:help dgemma``, and as types for editing ``init.lua``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from dgemma_lsp.settings.schema import json_schema
from dgemma_lsp.settings.table import Leaf, leaves, plain
from dgemma_lsp.settings.value_types import Schema

BEGIN = "						*dgemma-settings*\n"
END = "=" * 78 + "\n"

INTRODUCTION = """\
What the server does, as `init_options` of |vim.lsp.config()| or as `dgemma` in
its `settings`; inner names as tables: >lua

    vim.lsp.config('dgemma', {
      ---@type dgemma.Settings
      init_options = { automatic = { minConfidence = 0.3 } },
    })
<
"""

LUA_TYPES = {
    "boolean": "boolean",
    "string": "string",
    "number": "number",
    "integer": "integer",
    "null": "nil",
}


def with_settings(text: str) -> str:
    """Return the help with its section of settings renewed."""
    before, _, behind = text.partition(BEGIN)
    _, _, after = behind.partition(END)
    section = "\n".join([INTRODUCTION, *map(_entry, leaves())])
    return before + BEGIN + section + "\n" + END + after


def _entry(leaf: Leaf) -> str:
    text = f"{leaf.description[:1].upper()}{leaf.description[1:]} It must be {leaf.type.allowed}."
    default = json.dumps(plain(leaf.default), ensure_ascii=False)
    lines = textwrap.wrap(text, 62) + textwrap.wrap(f"Default: {default}", 62)
    return f"`{leaf.name}`\n" + "".join(f"\t\t{line}\n" for line in lines)


def types(_: str = "") -> str:
    """Return the file of types; it keeps nothing of what was in it."""
    classes = _classes("dgemma.Settings", json_schema())
    return "---@meta\n-- Written by `make settings`, from the server's schema.\n\n" + "\n".join(classes)


def _classes(name: str, branch: Schema) -> Iterator[str]:
    inner = {key: schema for key, schema in branch["properties"].items() if "properties" in schema}
    for key, schema in inner.items():
        yield from _classes(_inner(name, key), schema)
    fields = "".join(
        # Above its field, as some descriptions are too long to follow it.
        f"--- {schema['description']}\n---@field {key}? {_inner(name, key) if key in inner else _type(schema)}\n"
        for key, schema in branch["properties"].items()
    )
    yield f"---@class {name}\n{fields}"


def _inner(name: str, key: str) -> str:
    """Return the name of the class for an inner table."""
    return f"{name}.{key.capitalize()}"


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return "|".join(f"'{value}'" for value in schema["enum"])
    if schema["type"] == "array":
        return f"{_type(schema['items'])}[]"
    named = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return "|".join(LUA_TYPES[name] for name in named)
