"""What values a setting may have: read from JSON and TOML, read from text, and told to a user and to an editor.

One rule serves all three, so that what is accepted, what is said of a mistake and what the schema promises cannot
differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

Schema = dict[str, Any]
"""A JSON schema."""


class Rule(Protocol):
    """What values a setting may have."""

    @property
    def allowed(self) -> str:
        """Completes "it must be …"."""

    @property
    def schema(self) -> Schema:
        """The same for a program."""

    def read(self, value: object) -> Any:
        """The value as the settings hold it; `ValueError` when it is not allowed."""

    def from_text(self, text: str) -> object:
        """What `read` takes, from the value of an environment variable; `ValueError` when there is no such thing."""


@dataclass(frozen=True)
class Flag:
    """True or false."""

    @property
    def allowed(self) -> str:
        return "true or false"

    @property
    def schema(self) -> Schema:
        return {"type": "boolean"}

    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def from_text(self, text: str) -> object:
        words: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}
        return words.get(text.lower(), text)


@dataclass(frozen=True)
class Text:
    """A text that is not empty, or none."""

    @property
    def allowed(self) -> str:
        return "a text or null"

    @property
    def schema(self) -> Schema:
        return {"type": ["string", "null"], "minLength": 1}

    def read(self, value: object) -> str | None:
        if value is None or (isinstance(value, str) and value):
            return value
        raise ValueError

    def from_text(self, text: str) -> object:
        return text


@dataclass(frozen=True)
class Whole:
    """A whole number; both bounds are allowed."""

    low: int
    high: int

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    @property
    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def read(self, value: object) -> int:
        # JSON knows one kind of numbers: some editors write 8 as 8.0. A bool is an int to Python only.
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            raise ValueError
        if not self.low <= value <= self.high:
            raise ValueError
        return int(value)

    def from_text(self, text: str) -> object:
        return float(text)


@dataclass(frozen=True)
class Fraction:
    """A number from 0 to 1."""

    zero: bool = True

    @property
    def allowed(self) -> str:
        return "a number from 0 to 1" if self.zero else "a number above 0 and at most 1"

    @property
    def schema(self) -> Schema:
        return {"type": "number", "minimum" if self.zero else "exclusiveMinimum": 0, "maximum": 1}

    def read(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError
        if value == 0 and not self.zero:
            raise ValueError
        return float(value)

    def from_text(self, text: str) -> object:
        return float(text)


@dataclass(frozen=True)
class Names:
    """A list of names; it may be empty."""

    @property
    def allowed(self) -> str:
        return 'a list of names such as ["python"]'

    @property
    def schema(self) -> Schema:
        return {"type": "array", "items": {"type": "string", "minLength": 1}}

    def read(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
            raise ValueError
        return tuple(value)

    def from_text(self, text: str) -> object:
        return [name.strip() for name in text.split(",")] if text else []


@dataclass(frozen=True)
class Globs(Names):
    """A list of globs as in a ``.gitignore``; it may be empty."""

    @property
    def allowed(self) -> str:
        return 'a list of globs such as ["**/*.key"]'

    def read(self, value: object) -> tuple[str, ...]:
        from dgemma_lsp.settings.exclusion import makes_sense  # takes some milliseconds

        globs = super().read(value)
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

    @property
    def schema(self) -> Schema:
        return {"enum": [choice.value for choice in self.choices]}

    def read(self, value: object) -> Enum:
        return self.choices(value)

    def from_text(self, text: str) -> object:
        return text
