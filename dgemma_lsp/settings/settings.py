"""What the user can choose: one frozen tree, and one reader for every place where it can be chosen.

The tree is the schema: a field's default, its type, its rule and its description stand in one place, and `schema` turns
them into JSON. The places, each of which goes before those above it:

    the defaults            of the tree
    pyproject.toml          [tool.dgemma] of a workspace folder, for the documents in it; not what concerns the machine
    initializationOptions   of the editor
    its configuration       didChangeConfiguration and workspace/configuration
    the environment         DGEMMA_STEPS, DGEMMA_AUTOMATIC_MIN_CONFIDENCE, …
    the command line        --model, --device

A wrong value never stops the server: it is reported, and what the places above say, at last the default, is used; so
it is with null. Names are in camelCase, and in TOML they may be written min-confidence and min_confidence too.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, get_type_hints

from dgemma_lsp.settings.rules import Choice, Flag, Fraction, Globs, Names, Rule, Text, Whole

PREFIX = "DGEMMA_"
"""Of the environment variables."""

OTHER_VARIABLES = frozenset({"DGEMMA_CPU"})
"""Of that name, but no settings: the model package reads them."""


class Device(Enum):
    """Where the model runs."""

    CPU = "cpu"
    CUDA = "cuda"


class LogLevel(Enum):
    """The least important messages that are sent to the editor's log, and all that are more important."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"

    def lets_pass(self, other: LogLevel) -> bool:
        """Whether a message of level ``other`` is sent."""
        levels = list(LogLevel)
        return levels.index(other) <= levels.index(self)


class Place(Enum):
    """Where something can be chosen; a later place goes before the earlier ones."""

    PROJECT = "pyproject.toml"
    OPTIONS = "the initialization options"
    EDITOR = "the editor's configuration"
    ENVIRONMENT = "the environment"
    COMMAND_LINE = "the command line"


@dataclass(frozen=True)
class Machine:
    """Marks a setting that belongs to the user and the machine: what somebody's project says of it is not heard."""


@dataclass(frozen=True, slots=True)
class Automatic:
    """Completions that come while the user types.

    Attributes:
        min_confidence: 0..1; what the model is less sure of is not shown.
    """

    min_confidence: Annotated[float, Fraction()] = 0.2


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The code action "Rewrite selection".

    Attributes:
        strength: 1 forgets the selected text; the lower, the more of it stays; above 0.
    """

    strength: Annotated[float, Fraction(zero=False)] = 0.7


@dataclass(frozen=True, slots=True)
class Proofread:
    """Hints at what may be wrong.

    Attributes:
        on_save: whether the lines that have changed are read whenever a document is saved.
        confidence: 0..1; hints that the model is less sure of are not shown.
    """

    on_save: Annotated[bool, Flag()] = False
    confidence: Annotated[float, Fraction()] = 0.75


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the user can choose.

    Attributes:
        enable: False: nothing is loaded, nothing is offered.
        model: directory or name of a checkpoint; null means the bundled one.
        device: where the model runs.
        steps: denoising steps at most.
        automatic: completions that come while the user types.
        rewrite: the code action "Rewrite selection".
        proofread: hints at what may be wrong.
        context: whether other open documents are looked at for what may be copied; never those that are excluded.
        languages: where anything is offered, as editors call them; the bundled model was trained for Python only.
        markers: what you write where something is to be filled in.
        exclude: documents that nothing is read from or computed in, as in a ``.gitignore``.
        alternatives: how many completions are offered when the user asks for them.
        seed: of the noise; the same seed gives the same fills.
        log_level: what is sent to the editor's log.
        log_file: whether the same is written to a file on this machine, which goes round.
        log_source: whether source code may come into the log.
        counters: whether shown, accepted and kept characters are counted, on this machine only; see dgemma-lsp stats.
        status: whether the editor wants to be told what the server is doing.
    """

    enable: Annotated[bool, Flag(), Machine()] = True
    model: Annotated[str | None, Text(), Machine()] = None
    device: Annotated[Device, Choice(Device), Machine()] = Device.CPU
    steps: Annotated[int, Whole(1, 256)] = 4
    automatic: Automatic = field(default_factory=Automatic)
    rewrite: Rewrite = field(default_factory=Rewrite)
    proofread: Proofread = field(default_factory=Proofread)
    context: Annotated[bool, Flag()] = True
    languages: Annotated[tuple[str, ...], Names()] = ("python",)
    markers: Annotated[tuple[str, ...], Names()] = ("⟨fill⟩",)
    exclude: Annotated[tuple[str, ...], Globs(), Machine()] = (
        "**/.env*",
        "**/*.pem",
        "**/*.key",
        "**/*.crt",
        "**/*.cert",
        "**/.dev.vars",
        "**/secrets.yml",
    )
    alternatives: Annotated[int, Whole(1, 16)] = 3
    seed: Annotated[int, Whole(0, 2**32 - 1)] = 0
    log_level: Annotated[LogLevel, Choice(LogLevel), Machine()] = LogLevel.INFO
    log_file: Annotated[bool, Flag(), Machine()] = True
    log_source: Annotated[bool, Flag(), Machine()] = False
    counters: Annotated[bool, Flag(), Machine()] = True
    status: Annotated[bool, Flag(), Machine()] = False


# The tree as a table


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting.

    Attributes:
        path: the names of the fields that lead to it.
        rule: what it may be.
        default: what it is where nobody has chosen.
        description: what it means.
        machine: see `Machine`.
    """

    path: tuple[str, ...]
    rule: Rule
    default: Any
    description: str
    machine: bool

    @property
    def name(self) -> str:
        """As users write it."""
        return ".".join(map(camel, self.path))

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + "_".join(self.path).upper()


@cache
def leaves() -> tuple[Leaf, ...]:
    """All settings, in the order of the tree."""
    return tuple(_leaves(Settings(), ()))


def _leaves(tree: Any, path: tuple[str, ...]) -> Iterator[Leaf]:
    hints, told = get_type_hints(type(tree), include_extras=True), descriptions(type(tree))
    for one in fields(tree):
        value, here = getattr(tree, one.name), (*path, one.name)
        if is_branch(value):
            yield from _leaves(value, here)
        else:
            rule, *marks = hints[one.name].__metadata__
            yield Leaf(here, rule, value, told[one.name], Machine() in marks)


def is_branch(value: object) -> bool:
    """Whether a field holds settings and not a value."""
    return is_dataclass(value) and not isinstance(value, type)


def descriptions(tree: type) -> dict[str, str]:
    """What the documentation of a class says of its attributes."""
    _, _, attributes = (tree.__doc__ or "").partition("Attributes:\n")
    entries = re.split(r"\n\s{8}(?=\w+: )", "\n" + attributes.rstrip())
    named = (entry.partition(": ") for entry in entries if entry.strip())
    return {name: " ".join(text.split()) for name, _, text in named}


# Choosing


Chosen = Mapping[tuple[str, ...], Any]
"""What was chosen at one place: the value of each leaf's path."""

NOTHING: Chosen = MappingProxyType({})


def read(options: object, place: Place) -> tuple[Chosen, list[str]]:
    """What a place says, and what is wrong with it.

    Args:
        options: an object with some of the settings, or None; it may hold them under "dgemma".
        place: where they come from.

    Returns:
        The choices, and for each mistake one sentence that names the setting, its value and what is allowed.
    """
    if isinstance(options, Mapping) and set(options) == {"dgemma"}:
        options = options["dgemma"]
    if options is None:
        return NOTHING, []
    reader = _Reader(place)
    reader.read(options, Settings(), ())
    return reader.chosen, reader.problems


def read_environment(variables: Mapping[str, str]) -> tuple[Chosen, list[str]]:
    """What environment variables say, and what is wrong with it."""
    known = {leaf.variable: leaf for leaf in leaves()}
    chosen: dict[tuple[str, ...], Any] = {}
    problems = []
    for name, text in variables.items():
        if (leaf := known.get(name)) is not None:
            try:
                chosen[leaf.path] = leaf.rule.read(leaf.rule.from_text(text))
            except ValueError:
                problems.append(
                    f"The environment variable {name} must be {leaf.rule.allowed}, not {_shown(text)}."
                )
        elif name.startswith(PREFIX) and name not in OTHER_VARIABLES:
            problems.append(f"There is no setting for the environment variable {name}{_hint(name, known)}.")
    return chosen, problems


def read_project(text: str, path: str) -> tuple[Chosen, list[str]]:
    """What a pyproject.toml says under [tool.dgemma], and what is wrong with it.

    Args:
        text: of the file.
        path: of the file, for messages.
    """
    import tomllib

    try:
        table = tomllib.loads(text).get("tool", {}).get("dgemma")
    except (tomllib.TOMLDecodeError, AttributeError):
        # It may be no business of ours, and whoever else reads it complains too.
        return NOTHING, [f"{path} cannot be read as TOML; what it says of dgemma is not used."]
    chosen, problems = read(table, Place.PROJECT)
    return chosen, [f"{path}: {problem}" for problem in problems]


def settled(places: Mapping[Place, Chosen]) -> Settings:
    """The settings that follow from what was chosen, a later place before the earlier ones."""
    settings = Settings()
    for place in Place:
        for path, value in places.get(place, NOTHING).items():
            settings = _with(settings, path, value)
    return settings


def _with(tree: Any, path: tuple[str, ...], value: object) -> Any:
    first, *others = path
    return replace(tree, **{first: _with(getattr(tree, first), tuple(others), value) if others else value})


class _Reader:
    """Reads one place.

    Attributes:
        chosen: what it says.
        problems: what is wrong with it.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._rules = {leaf.path: leaf for leaf in leaves()}
        self.chosen: dict[tuple[str, ...], Any] = {}
        self.problems: list[str] = []

    def read(self, options: object, tree: Any, path: tuple[str, ...]) -> None:
        if not isinstance(options, Mapping):
            self.problems.append(
                f"{_named(path)} must be an object with settings, not {_shown(options)}; its defaults are used."
            )
            return
        known = {camel(one.name): one.name for one in fields(tree)}
        for key, value in options.items():
            name = known.get(self._spelled(key))
            here = (*path, name or str(key))
            if name is None:
                self.problems.append(f"There is no setting {_written(here)}{_hint(str(key), known)}.")
            elif value is None:
                pass  # as if it were not named
            elif is_branch(below := getattr(tree, name)):
                self.read(value, below, here)
            else:
                self._choose(self._rules[here], value)

    def _spelled(self, key: object) -> str:
        text = str(key)
        return camel(text.replace("-", "_")) if self._place is Place.PROJECT else text

    def _choose(self, leaf: Leaf, value: object) -> None:
        if leaf.machine and self._place is Place.PROJECT:
            self.problems.append(f"A project cannot choose {leaf.name}; set it in the editor.")
            return
        try:
            self.chosen[leaf.path] = leaf.rule.read(value)
        except ValueError:
            self.problems.append(
                f"Setting {leaf.name} must be {leaf.rule.allowed}, not {_shown(value)}; "
                f"unless it is set elsewhere, the default {_shown(plain(leaf.default))} is used."
            )


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _named(path: tuple[str, ...]) -> str:
    return f"Setting {_written(path)}" if path else "The settings"


def _written(path: tuple[str, ...]) -> str:
    return ".".join(map(camel, path))


def _hint(key: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(key, names, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)
