"""The settings as a JSON schema, for editors to check what their users write, and as a table for people.

Both are generated from the tree in `settings`, and a test holds the files in ``docs/`` equal to them.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from dgemma_lsp.settings.rules import Schema
from dgemma_lsp.settings.settings import Leaf, Settings, camel, descriptions, is_branch, leaves, plain

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> Schema:
    """Of the object that an editor sends; the section "dgemma" of its configuration.

    Each setting has a "default", a "description" and a "scope" as VS Code names them: "machine-overridable" belongs to
    the user, "resource" may be chosen by a project too. Whoever wants a flat list puts the names together with dots.
    """
    return {"$schema": DIALECT, "title": "dgemma", **_branch(Settings(), ())}


def as_json() -> str:
    """`json_schema`, for a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False)


def settings_table() -> str:
    """A row of Markdown for each setting."""
    rows = [
        "| setting | default | what it may be | what it means | environment |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*rows, *map(_row, leaves())])


def _branch(tree: Any, path: tuple[str, ...]) -> Schema:
    told = descriptions(type(tree))
    properties = {}
    for one in fields(tree):
        value, here = getattr(tree, one.name), (*path, one.name)
        if is_branch(value):
            below = {"description": told[one.name], **_branch(value, here)}
        else:
            below = _leaf(next(leaf for leaf in leaves() if leaf.path == here))
        properties[camel(one.name)] = below
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _leaf(leaf: Leaf) -> Schema:
    return {
        **leaf.rule.schema,
        "default": plain(leaf.default),
        "description": leaf.description,
        "scope": "machine-overridable" if leaf.machine else "resource",
    }


def _row(leaf: Leaf) -> str:
    default = json.dumps(plain(leaf.default), ensure_ascii=False)
    meaning = leaf.description + ("" if leaf.machine else " *")
    cells = f"`{leaf.name}`", f"`{default}`", leaf.rule.allowed, meaning, f"`{leaf.variable}`"
    return f"| {' | '.join(cells)} |"
