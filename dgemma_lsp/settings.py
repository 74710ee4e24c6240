"""What the user can choose: one frozen tree, and one parser for what an editor sends.

The tree is the schema: a field's default, its type and its rule stand in one place. A wrong value never stops the
server: it is reported, and what was chosen before (at first the default) stays. Editors write the names in camelCase:

    {"model": null, "device": "cpu", "steps": 4, "automatic": {"minConfidence": 0.5}, "logLevel": "info", …}
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


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


class Rule(Protocol):
    """What values a setting may have."""

    @property
    def allowed(self) -> str:
        """Completes "it must be …"."""

    def read(self, value: object) -> Any:
        """The value as the settings hold it; `ValueError` when it is not allowed."""


@dataclass(frozen=True)
class Flag:
    """True or false."""

    @property
    def allowed(self) -> str:
        return "true or false"

    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value


@dataclass(frozen=True)
class Text:
    """A text that is not empty, or none."""

    @property
    def allowed(self) -> str:
        return "a text or null"

    def read(self, value: object) -> str | None:
        if value is None or (isinstance(value, str) and value):
            return value
        raise ValueError


@dataclass(frozen=True)
class Whole:
    """A whole number; both bounds are allowed."""

    low: int
    high: int

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def read(self, value: object) -> int:
        # JSON knows one kind of numbers: some editors write 8 as 8.0. A bool is an int to Python only.
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            raise ValueError
        if not self.low <= value <= self.high:
            raise ValueError
        return int(value)


@dataclass(frozen=True)
class Fraction:
    """A number from 0 to 1."""

    zero: bool = True

    @property
    def allowed(self) -> str:
        return "a number from 0 to 1" if self.zero else "a number above 0 and at most 1"

    def read(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError
        if value == 0 and not self.zero:
            raise ValueError
        return float(value)


@dataclass(frozen=True)
class Names:
    """A list of names; it may be empty."""

    @property
    def allowed(self) -> str:
        return 'a list of names such as ["python"]'

    def read(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
            raise ValueError
        return tuple(value)


@dataclass(frozen=True)
class Globs:
    """A list of globs as in a ``.gitignore``; it may be empty."""

    @property
    def allowed(self) -> str:
        return 'a list of globs such as ["**/*.key"]'

    def read(self, value: object) -> tuple[str, ...]:
        from dgemma_lsp.exclusion import makes_sense  # takes some milliseconds

        globs = Names().read(value)
        if not all(map(makes_sense, globs)):
            raise ValueError
        return globs


@dataclass(frozen=True)
class Choice:
    """A member of an enum, written as its value."""

    choices: type[Enum]

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(f'"{choice.value}"' for choice in self.choices)

    def read(self, value: object) -> Enum:
        return self.choices(value)


@dataclass(frozen=True, slots=True)
class Automatic:
    """Completions that come while the user types.

    Attributes:
        min_confidence: 0..1; what the model is less sure of is not shown.
    """

    min_confidence: Annotated[float, Fraction()] = 0.25


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The code action "Rewrite selection".

    Attributes:
        strength: 1 forgets the selected text; the lower, the more of it stays; above 0.
    """

    strength: Annotated[float, Fraction(zero=False)] = 0.7


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the user can choose.

    Attributes:
        enable: False: nothing is loaded, nothing is offered.
        model: directory or name of a checkpoint; None means the bundled one.
        device: where the model runs.
        steps: denoising steps at most.
        automatic: completions that come while the user types.
        rewrite: the code action "Rewrite selection".
        languages: where anything is offered, as editors call them; the bundled model was trained for Python only.
        exclude: documents that nothing is read from or computed in, as in a ``.gitignore``.
        alternatives: how many completions are offered when the user asks for them.
        seed: of the noise; the same seed gives the same fills.
        log_level: what is sent to the editor's log.
        status: whether the editor wants to be told what the server is doing.
    """

    enable: Annotated[bool, Flag()] = True
    model: Annotated[str | None, Text()] = None
    device: Annotated[Device, Choice(Device)] = Device.CPU
    steps: Annotated[int, Whole(1, 256)] = 4
    automatic: Automatic = field(default_factory=Automatic)
    rewrite: Rewrite = field(default_factory=Rewrite)
    languages: Annotated[tuple[str, ...], Names()] = ("python",)
    exclude: Annotated[tuple[str, ...], Globs()] = (
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
    log_level: Annotated[LogLevel, Choice(LogLevel)] = LogLevel.INFO
    status: Annotated[bool, Flag()] = False


def parse(options: object, base: Settings) -> tuple[Settings, list[str]]:
    """Settings from what an editor sends, and what is wrong with it.

    Args:
        options: a JSON object with some of the settings, or None; it may hold them under "dgemma".
        base: holds what ``options`` does not name, or names with a value that is not allowed.

    Returns:
        The settings, and for each mistake one sentence that names the setting, its value and what is allowed.
    """
    if isinstance(options, Mapping) and set(options) == {"dgemma"}:
        options = options["dgemma"]
    if options is None:
        return base, []
    problems: list[str] = []
    return _read(options, base, "", problems), problems


_Tree = TypeVar("_Tree", bound="DataclassInstance")


def _read(options: object, base: _Tree, prefix: str, problems: list[str]) -> _Tree:
    if not isinstance(options, Mapping):
        problems.append(f"{_named(prefix)} must be an object with settings, not {_shown(options)}.")
        return base
    known = {_camel(name): name for name in _names(base)}
    changes: dict[str, Any] = {}
    for key, value in options.items():
        if key in known:
            changes[known[key]] = _value(base, known[key], value, prefix + key, problems)
        else:
            problems.append(f"There is no setting {prefix}{key}{_hint(str(key), known)}.")
    return replace(base, **changes)


def _value(base: Any, name: str, value: object, key: str, problems: list[str]) -> Any:
    present = getattr(base, name)
    if is_dataclass(present) and not isinstance(present, type):
        return _read(value, present, key + ".", problems)
    rule: Rule = get_type_hints(type(base), include_extras=True)[name].__metadata__[0]
    try:
        return rule.read(value)
    except ValueError:
        problems.append(f"Setting {key} must be {rule.allowed}, not {_shown(value)}.")
        return present


def _names(tree: Any) -> Iterator[str]:
    return (one.name for one in fields(tree))


def _named(prefix: str) -> str:
    return f"Setting {prefix.rstrip('.')}" if prefix else "The settings"


def _hint(key: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)
