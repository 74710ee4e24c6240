"""What the server is doing, for an editor that shows it, and why a request gets nothing.

This module knows nothing about the protocol but the form of what is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """What the server is doing."""

    LOADING = "loading"
    READY = "ready"
    FILLING = "filling"
    SILENT = "silent"
    ERROR = "error"


class Reason(Enum):
    """Why a request gets nothing, apart from what texts, files and fills can tell."""

    NOT_OPEN = "the document is not open"
    NOT_LOADED = "loading the model was stopped"
    TURNED_OFF = "the server is turned off"
    NEWER = "a newer request came"
    CHANGED = "the document has changed"
    LANGUAGE = "the setting languages does not include the language of the document"
    READ_ONLY = "the document is read-only"
    SELECTION = "something is selected"


@dataclass(frozen=True, slots=True)
class Status:
    """A state, and what there is to say about it.

    Attributes:
        state: what the server is doing.
        message: the reason if SILENT; if ERROR, what is wrong and what can be done about it; otherwise "".
    """

    state: State
    message: str = ""

    def to_json(self) -> dict[str, str]:
        match self.state:
            case State.SILENT:
                return {"state": self.state.value, "reason": self.message}
            case State.ERROR:
                return {"state": self.state.value, "advice": self.message}
        return {"state": self.state.value}


READY = Status(State.READY)
LOADING = Status(State.LOADING)
FILLING = Status(State.FILLING)


def silent(reason: Enum | str) -> Status:
    """Make the status of a request that gets nothing.

    Args:
        reason: a member of an enum whose values are reasons, or a sentence about a fill.
    """
    return Status(State.SILENT, reason if isinstance(reason, str) else str(reason.value))


def failed(error: Exception) -> Status:
    """Make the status after an error whose message says what is wrong."""
    return Status(State.ERROR, str(error))
