"""Writes the server's settings into the manifest of the VS Code extension, beside the extension's own.

The extension's own settings are written by hand in ``package.json``; all others in its list come from here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dgemma_lsp.settings.schema import json_schema
from dgemma_lsp.settings.value_types import Schema

BEGIN = '      "properties": {\n'
END = "\n      }\n"

OURS = ("dgemma.server.", "dgemma.editor.")
"""Settings of the extension, unknown to the server."""

NOT_SHOWN = frozenset({"dgemma.status"})
"""Settings that the extension replaces by a capability."""

FIRST = (
    "dgemma.enable",
    "dgemma.server.command",
    "dgemma.languages",
    "dgemma.automatic.minConfidence",
    "dgemma.alternatives",
    "dgemma.rewrite.strength",
    "dgemma.editor.preview",
    "dgemma.editor.drafts",
)
"""The settings that most people look for; the others follow in the server's order."""

WORDS: Mapping[str, str] = {
    "dgemma.enable": "If off, nothing is loaded and nothing is offered. To silence it for a while, pause instead.",
    "dgemma.languages": (
        "Languages to work in, as VS Code names them. The bundled model was trained on Python only."
    ),
    "dgemma.automatic.minConfidence": (
        "While you type, suggestions that the model is less sure of are not shown. "
        "If you ask for a suggestion, they are."
    ),
    "dgemma.alternatives": "How many suggestions are offered when you ask for them.",
    "dgemma.rewrite.strength": (
        "How much of the selected text a rewrite forgets: 1 starts from scratch, lower values keep more of it."
    ),
    "dgemma.exclude": (
        "Files the server must never read, written as in a `.gitignore`. "
        "Files that `.gitignore` and `.dgemmaignore` cover are never read either."
    ),
}
"""Descriptions for VS Code, where the server's own do not fit because it knows no commands or names of VS Code."""


def with_settings(manifest: str) -> str:
    """Return the manifest with its list of settings renewed."""
    before, _, behind = manifest.partition(BEGIN)
    _, _, after = behind.partition(END)
    lines = [
        f"        {json.dumps(name)}: {_line(setting)}" for name, setting in _properties(manifest).items()
    ]
    return before + BEGIN + ",\n".join(lines) + END + after


def _properties(manifest: str) -> dict[str, Schema]:
    present = json.loads(manifest)["contributes"]["configuration"]["properties"]
    ours = {name: setting for name, setting in present.items() if name.startswith(OURS)}
    servers = {name: _property(name, leaf) for name, leaf in _leaves(json_schema(), "dgemma")}
    shown = ours | {name: setting for name, setting in servers.items() if name not in NOT_SHOWN}
    names = [*FIRST, *(name for name in shown if name not in FIRST)]
    return {name: {**shown[name], "order": order} for order, name in enumerate(names)}


def _leaves(schema: Schema, name: str) -> Iterator[tuple[str, Schema]]:
    for key, inner in schema["properties"].items():
        if "properties" in inner:
            yield from _leaves(inner, f"{name}.{key}")
        else:
            yield f"{name}.{key}", inner


def _property(name: str, leaf: Schema) -> Schema:
    text = leaf["description"].replace("``", "`")
    words = WORDS.get(name, text[:1].upper() + text[1:])
    rest = {key: value for key, value in leaf.items() if key != "description"}
    # VS Code shows a menu for an enum only if its type is given.
    typed = {"type": "string", **rest} if "enum" in rest else rest
    return {**typed, "markdownDescription" if "`" in words else "description": words}


def _line(value: Any) -> str:
    """Write a value as JSON on one line, as the rest of the manifest is written."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)}: {_line(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_line, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
