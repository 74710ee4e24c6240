"""The settings of the VS Code extension: those of the server, from its schema, beside those of the extension itself.

The latter are written by hand into ``package.json``; everything else in its list of settings comes from here.
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
"""Settings of the extension, which the server does not know."""

NOT_SHOWN = frozenset({"dgemma.status"})
"""The extension says it with a capability."""

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
"""What most people look for; the others follow as the server has them."""

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
"""Where the server's own words are no use in VS Code, whose commands and names it does not know."""


def with_settings(manifest: str) -> str:
    """The manifest with its settings as they must be."""
    before, _, behind = manifest.partition(BEGIN)
    _, _, after = behind.partition(END)
    lines = [f"        {json.dumps(name)}: {_line(one)}" for name, one in _properties(manifest).items()]
    return before + BEGIN + ",\n".join(lines) + END + after


def _properties(manifest: str) -> dict[str, Schema]:
    present = json.loads(manifest)["contributes"]["configuration"]["properties"]
    ours = {name: one for name, one in present.items() if name.startswith(OURS)}
    servers = {name: _property(name, leaf) for name, leaf in _leaves(json_schema(), "dgemma")}
    found = ours | {name: one for name, one in servers.items() if name not in NOT_SHOWN}
    names = [*FIRST, *(name for name in found if name not in FIRST)]
    return {name: {**found[name], "order": order} for order, name in enumerate(names)}


def _leaves(schema: Schema, name: str) -> Iterator[tuple[str, Schema]]:
    for inner, one in schema["properties"].items():
        if "properties" in one:
            yield from _leaves(one, f"{name}.{inner}")
        else:
            yield f"{name}.{inner}", one


def _property(name: str, leaf: Schema) -> Schema:
    told = leaf["description"].replace("``", "`")
    words = WORDS.get(name, told[:1].upper() + told[1:])
    rest = {key: value for key, value in leaf.items() if key != "description"}
    # VS Code has a menu for the values of an enum, but not without a type.
    typed = {"type": "string", **rest} if "enum" in rest else rest
    return {**typed, "markdownDescription" if "`" in words else "description": words}


def _line(value: Any) -> str:
    """JSON in one line, as the rest of the manifest is written."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)}: {_line(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_line, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
