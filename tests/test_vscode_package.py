"""What the manifest of the VS Code extension says, against the server's settings and the extension's own files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import dgemma_lsp
from dgemma_lsp.settings import Settings

EXTENSION = Path(__file__).parent.parent / "editors" / "vscode"

MANIFEST = json.loads((EXTENSION / "package.json").read_text("utf-8"))
CONTRIBUTED = MANIFEST["contributes"]

OURS = ("dgemma.server.", "dgemma.editor.")
"""Settings of the extension, which the server does not know."""

NOT_SHOWN = {"dgemma.status"}
"""The extension says it with a capability."""

PROPERTIES = CONTRIBUTED["configuration"]["properties"]
SHARED = {name: schema for name, schema in PROPERTIES.items() if not name.startswith(OURS)}


def leaves(tree: Any, prefix: str = "dgemma.") -> Iterator[tuple[str, Any, Any]]:
    """Of each of the server's settings: its name as editors write it, its rule and its default."""
    hints = get_type_hints(type(tree), include_extras=True)
    for one in fields(tree):
        name = prefix + re.sub(r"_(\w)", lambda match: match[1].upper(), one.name)
        value = getattr(tree, one.name)
        if is_dataclass(value):
            yield from leaves(value, name + ".")
        else:
            yield name, hints[one.name].__metadata__[0], value


SERVERS = {name: (rule, default) for name, rule, default in leaves(Settings()) if name not in NOT_SHOWN}


def as_json(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def test_the_extension_has_the_servers_settings() -> None:
    assert set(SHARED) == set(SERVERS)


@pytest.mark.parametrize("name", sorted(SHARED.keys() & SERVERS.keys()))
def test_defaults_are_the_servers(name: str) -> None:
    assert SHARED[name]["default"] == as_json(SERVERS[name][1])


def allowed_and_not(schema: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Values at the edge of what a schema of ours allows, and just beyond it."""
    match schema:
        case {"enum": values}:
            return values, ["none of them", 1]
        case {"minimum": low, "maximum": high}:
            return [low, high], [low - 1, high + 1, "1"]
        case {"exclusiveMinimum": low, "maximum": high}:
            return [high, (low + high) / 2], [low, high + 1]
        case {"type": "boolean"}:
            return [True, False], [1, "true"]
        case {"type": ["string", "null"]}:
            return ["text", None], [1]
        case {"type": "array"}:
            return [[], ["python"]], ["python", [1]]
    raise AssertionError(f"no values are known for {schema}")


@pytest.mark.parametrize("name", sorted(SHARED.keys() & SERVERS.keys()))
def test_what_vs_code_allows_is_what_the_server_allows(name: str) -> None:
    rule, _ = SERVERS[name]
    good, bad = allowed_and_not(SHARED[name])
    for value in good:
        rule.read(value)
    for value in bad:
        with pytest.raises(ValueError):  # noqa: PT011
            rule.read(value)


@pytest.mark.parametrize("name", sorted(PROPERTIES))
def test_every_setting_is_described(name: str) -> None:
    schema = PROPERTIES[name]
    assert schema.get("description") or schema.get("markdownDescription")


def test_one_version_with_the_server() -> None:
    assert MANIFEST["version"] == dgemma_lsp.__version__


def sources() -> str:
    return "".join(path.read_text("utf-8") for path in (EXTENSION / "src").glob("*.ts"))


def test_every_command_has_a_handler() -> None:
    handlers = set(re.findall(r"'(dgemma\.[\w.]+)'(?:: |, \(\))", sources()))
    assert {command["command"] for command in CONTRIBUTED["commands"]} <= handlers


def test_menus_and_keys_name_commands_that_exist() -> None:
    known = {command["command"] for command in CONTRIBUTED["commands"]}
    entries = [entry for menu in CONTRIBUTED["menus"].values() for entry in menu]
    named = {entry["command"] for entry in [*entries, *CONTRIBUTED["keybindings"]]}
    assert {name for name in named if name.startswith("dgemma.")} <= known


def test_conditions_name_context_keys_that_are_set() -> None:
    conditions = " ".join(re.findall(r'"(?:when|enablement)": "([^"]+)"', json.dumps(CONTRIBUTED)))
    used = set(re.findall(r"dgemma\.\w+", conditions))
    assert used
    assert used <= set(re.findall(r"'setContext', '(dgemma\.\w+)'", sources()))


def test_the_walkthroughs_pages_and_commands_exist() -> None:
    known = {command["command"] for command in CONTRIBUTED["commands"]}
    for step in CONTRIBUTED["walkthroughs"][0]["steps"]:
        assert (EXTENSION / step["media"]["markdown"]).exists()
        assert set(re.findall(r"\(command:([\w.]+)\)", step["description"])) <= known


def test_nothing_is_sent_anywhere() -> None:
    assert not re.search(r"https?:|fetch\(|telemetry", sources(), re.IGNORECASE)
