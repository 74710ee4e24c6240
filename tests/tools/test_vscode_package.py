"""What the manifest of the VS Code extension says, against the extension's own files; its settings: test_settings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import dgemma_lsp

EXTENSION = Path(__file__).parents[2] / "editors" / "vscode"

MANIFEST = json.loads((EXTENSION / "package.json").read_text("utf-8"))
CONTRIBUTED = MANIFEST["contributes"]

PROPERTIES = CONTRIBUTED["configuration"]["properties"]


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
        page = EXTENSION / step["media"]["markdown"]
        for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text("utf-8")):
            assert (page.parent / picture).exists()
        assert set(re.findall(r"\(command:([\w.]+)\)", step["description"])) <= known


def test_nothing_is_sent_anywhere() -> None:
    assert not re.search(r"https?:|fetch\(|telemetry", sources(), re.IGNORECASE)
