"""What the server is doing, for an editor that wants to show it, and why a wish gets nothing.

Knows nothing of the protocol but the form of what is sent.
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
    """Why a wish gets nothing, besides what text, files and fills can tell."""

    NOT_OPEN = "the document is not open"
    NOT_LOADED = "loading the model was stopped"
    TURNED_OFF = "the server is turned off"
    NEWER = "a newer request has come"
    CHANGED = "the document has changed"
    LANGUAGE = "the setting languages does not name the language of the document"
    READ_ONLY = "the document is read-only"
    SELECTION = "something is selected"


@dataclass(frozen=True, slots=True)
class Status:
    """A state, and what there is to say of it.

    Attributes:
        state: of the server.
        message: SILENT: the reason; ERROR: what is wrong and what can be done; "" in the other states.
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


def silent(reason: str) -> Status:
    return Status(State.SILENT, reason)
