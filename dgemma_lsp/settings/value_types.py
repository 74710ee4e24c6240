"""What values a setting may have: how they are read from JSON, TOML and text, and how users and editors are told.

One type does all of this, so what is accepted, what an error message says and what the schema promises cannot differ.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Schema = dict[str, Any]
"""A JSON schema."""

_BOOLEANS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}


class ValueType(ABC):
    """What values a setting may have."""

    @property
    @abstractmethod
    def allowed(self) -> str:
        """Completes the sentence "it must be …"."""

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The same as a JSON schema."""

    @abstractmethod
    def read(self, value: object) -> Any:
        """Return the value as the settings hold it.

        Raises:
            ValueError: the value is not allowed.
        """

    def from_text(self, text: str) -> object:
        """Return what `read` takes for the value of an environment variable.

        Raises:
            ValueError: no value is written like this.
        """
        return text


@dataclass(frozen=True)
class Flag(ValueType):
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
        return _BOOLEANS.get(text.lower(), text)


@dataclass(frozen=True)
class Text(ValueType):
    """A string that is not empty, or null."""

    @property
    def allowed(self) -> str:
        return "a string or null"

    @property
    def schema(self) -> Schema:
        return {"type": ["string", "null"], "minLength": 1}

    def read(self, value: object) -> str | None:
        if value is None or (isinstance(value, str) and value):
            return value
        raise ValueError


@dataclass(frozen=True)
class Whole(ValueType):
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
        # JSON has one kind of number, and some editors write 8 as 8.0. Only in Python is a bool an int.
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            raise ValueError
        if not self.low <= value <= self.high:
            raise ValueError
        return int(value)

    def from_text(self, text: str) -> object:
        return float(text)


@dataclass(frozen=True)
class Fraction(ValueType):
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
class Names(ValueType):
    """A list of names; it may be empty."""

    @property
    def allowed(self) -> str:
        return 'a list of names such as ["python"]'

    @property
    def schema(self) -> Schema:
        return {"type": "array", "items": {"type": "string", "minLength": 1}}

    def read(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
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
        from dgemma_lsp.settings.globs import is_valid  # takes some milliseconds

        globs = super().read(value)
        if not all(map(is_valid, globs)):
            raise ValueError
        return globs


@dataclass(frozen=True)
class Choice(ValueType):
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
