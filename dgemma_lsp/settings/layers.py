"""Reads what was chosen in each layer, and lays the layers over one another.

Each layer takes precedence over those above it:

    the defaults            of the tree
    pyproject.toml          [tool.dgemma] in a workspace folder, for the documents in it; not what is the user's only
    initializationOptions   of the editor
    its configuration       didChangeConfiguration and workspace/configuration
    the environment         DGEMMA_STEPS, DGEMMA_AUTOMATIC_MIN_CONFIDENCE, …
    the command line        --model, --device

A wrong value never stops the server. It is reported, and the value of the layers above is used, or in the end the
default. The same happens with null, but without a report. Names are in camelCase; TOML may also have min-confidence
and min_confidence.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from enum import Enum
from types import MappingProxyType
from typing import Any

from dgemma_lsp.settings.settings import Settings
from dgemma_lsp.settings.table import PREFIX, Leaf, SettingPath, camel, is_branch, leaves, plain, written

SECTION = "dgemma"
"""What the settings are called in an editor's configuration and in a pyproject.toml."""

OTHER_VARIABLES = frozenset({"DGEMMA_CPU"})
"""Environment variables that begin like settings but are none; the model reads them."""

_LONGEST_VALUE = 60


class Layer(Enum):
    """Where something can be chosen. A later layer takes precedence over the earlier ones."""

    PROJECT = "pyproject.toml"
    OPTIONS = "the initialization options"
    EDITOR = "the editor's configuration"
    ENVIRONMENT = "the environment"
    COMMAND_LINE = "the command line"


Chosen = Mapping[SettingPath, Any]
"""What was chosen in one layer: values by the paths of their settings."""

NOTHING: Chosen = MappingProxyType({})


def resolved(layers: Mapping[Layer, Chosen]) -> Settings:
    """Return the settings that follow from what was chosen in each layer."""
    settings = Settings()
    for layer in Layer:
        for path, value in layers.get(layer, NOTHING).items():
            settings = _with(settings, path, value)
    return settings


def _with(tree: Any, path: SettingPath, value: object) -> Any:
    first, *others = path
    return replace(tree, **{first: _with(getattr(tree, first), tuple(others), value) if others else value})


def read(options: object, layer: Layer) -> tuple[Chosen, list[str]]:
    """Read the choices of a layer.

    Args:
        options: an object with some of the settings, perhaps under "dgemma"; or None.
        layer: where it comes from.

    Returns:
        The choices, and one sentence for each mistake, with the setting, its value and what is allowed.
    """
    if isinstance(options, Mapping) and set(options) == {SECTION}:
        options = options[SECTION]
    if options is None:
        return NOTHING, []
    reader = _Reader(layer)
    reader.read(options, Settings(), ())
    return reader.chosen, reader.problems


def read_environment(variables: Mapping[str, str]) -> tuple[Chosen, list[str]]:
    """Read the choices in environment variables; for the result see `read`."""
    known = {leaf.variable: leaf for leaf in leaves()}
    chosen: dict[SettingPath, Any] = {}
    problems = []
    for name, text in variables.items():
        if (leaf := known.get(name)) is not None:
            try:
                chosen[leaf.path] = leaf.type.read(leaf.type.from_text(text))
            except ValueError:
                problems.append(
                    f"The environment variable {name} must be {leaf.type.allowed}, not {_shown(text)}."
                )
        elif name.startswith(PREFIX) and name not in OTHER_VARIABLES:
            problems.append(f"There is no setting for the environment variable {name}{_advice(name, known)}.")
    return chosen, problems


def read_project(text: str, path: str) -> tuple[Chosen, list[str]]:
    """Read the choices under [tool.dgemma] in a pyproject.toml; for the result see `read`.

    Args:
        text: what the file holds.
        path: the file's path, for messages.
    """
    import tomllib

    try:
        table = tomllib.loads(text).get("tool", {}).get(SECTION)
    except (tomllib.TOMLDecodeError, AttributeError):
        # The mistake may not be in our part of the file, and other readers of it complain too.
        return NOTHING, [f"{path} cannot be read as TOML; its settings for dgemma are not used."]
    chosen, problems = read(table, Layer.PROJECT)
    return chosen, [f"{path}: {problem}" for problem in problems]


class _Reader:
    """Reads one layer.

    Attributes:
        chosen: the choices so far.
        problems: the mistakes so far.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._leaves = {leaf.path: leaf for leaf in leaves()}
        self.chosen: dict[SettingPath, Any] = {}
        self.problems: list[str] = []

    def read(self, options: object, tree: Any, path: SettingPath) -> None:
        """Read the options for a branch of the tree, which is at ``path``."""
        if not isinstance(options, Mapping):
            self.problems.append(
                f"{_named(path)} must be an object with settings, not {_shown(options)}; the defaults are used."
            )
            return
        known = {camel(field.name): field.name for field in fields(tree)}
        for key, value in options.items():
            name = known.get(self._spelled(key))
            here = (*path, name or str(key))
            if name is None:
                self.problems.append(f"There is no setting {written(here)}{_advice(str(key), known)}.")
            elif value is None:
                pass  # as if it were left out
            elif is_branch(branch := getattr(tree, name)):
                self.read(value, branch, here)
            else:
                self._choose(self._leaves[here], value)

    def _spelled(self, key: object) -> str:
        name = str(key)
        return camel(name.replace("-", "_")) if self._layer is Layer.PROJECT else name

    def _choose(self, leaf: Leaf, value: object) -> None:
        if leaf.user_only and self._layer is Layer.PROJECT:
            self.problems.append(f"A project cannot choose {leaf.name}; set it in the editor.")
            return
        try:
            self.chosen[leaf.path] = leaf.type.read(value)
        except ValueError:
            self.problems.append(
                f"Setting {leaf.name} must be {leaf.type.allowed}, not {_shown(value)}; "
                f"unless it is set elsewhere, the default {_shown(plain(leaf.default))} is used."
            )


def _named(path: SettingPath) -> str:
    return f"Setting {written(path)}" if path else "The settings"


def _advice(key: str, known: Iterable[str]) -> str:
    """Return what to write in place of an unknown name."""
    names = list(known)
    close = difflib.get_close_matches(key, names, n=1)
    return f"; did you mean {close[0]}?" if close else f"; the possible names are {', '.join(names)}"


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "…"
