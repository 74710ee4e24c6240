"""The settings as a JSON schema, so that editors can check what users write, and as a table for people.

Both are made from the tree in `settings`, and a test compares the files in ``docs/`` with them.
"""

from __future__ import annotations

import json
from dataclasses import fields
from enum import Enum
from typing import Any

from dgemma_lsp.settings.settings import Settings
from dgemma_lsp.settings.table import Leaf, SettingPath, camel, descriptions, is_branch, leaves, plain
from dgemma_lsp.settings.value_types import Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Scope(Enum):
    """Who may choose a setting, in the words of VS Code."""

    USER = "machine-overridable"
    PROJECT = "resource"


def json_schema() -> Schema:
    """Return the schema of the object that an editor sends: the section "dgemma" of its configuration.

    Each setting has a "default", a "description" and a "scope" (see `Scope`). For a flat list, join the names with
    dots.
    """
    return {"$schema": DIALECT, "title": "dgemma", **_branch(Settings(), ())}


def as_json() -> str:
    """Return `json_schema` as the text of a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False)


def settings_table() -> str:
    """Return a Markdown table with a row for each setting."""
    rows = [
        "| setting | default | allowed values | meaning | environment |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*rows, *map(_row, leaves())])


def _branch(tree: Any, path: SettingPath) -> Schema:
    texts = descriptions(type(tree))
    properties = {}
    for field in fields(tree):
        value, here = getattr(tree, field.name), (*path, field.name)
        if is_branch(value):
            schema = {"description": texts[field.name], **_branch(value, here)}
        else:
            schema = _leaf(next(leaf for leaf in leaves() if leaf.path == here))
        properties[camel(field.name)] = schema
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _leaf(leaf: Leaf) -> Schema:
    return {
        **leaf.type.schema,
        "default": plain(leaf.default),
        "description": leaf.description,
        "scope": (Scope.USER if leaf.user_only else Scope.PROJECT).value,
    }


def _row(leaf: Leaf) -> str:
    default = json.dumps(plain(leaf.default), ensure_ascii=False)
    meaning = leaf.description + ("" if leaf.user_only else " *")
    cells = f"`{leaf.name}`", f"`{default}`", leaf.type.allowed, meaning, f"`{leaf.variable}`"
    return f"| {' | '.join(cells)} |"
