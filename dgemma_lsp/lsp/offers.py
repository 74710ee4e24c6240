"""What a code action carries to the editor and back, until the user chooses it and its edit is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.actions import Action


@dataclass(frozen=True, slots=True)
class Offer:
    """An action that was offered at a selection.

    Attributes:
        uri: the document.
        version: the version of the document that ``selected`` belongs to.
        selected: the user's selection.
        action: the action that was offered.
    """

    uri: str
    version: int
    selected: Region
    action: Action

    @classmethod
    def from_data(cls, data: Any) -> Offer:
        """Read the data of a code action.

        Raises:
            ValueError: the data is not ours.
        """
        try:
            selected = Region(data["start"], data["end"])
            return cls(data["uri"], data["version"], selected, Action[data["action"]])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("The code action does not come from this server.") from error

    def to_data(self) -> dict[str, Any]:
        return {
            "uri": self.uri,
            "version": self.version,
            "start": self.selected.start,
            "end": self.selected.end,
            "action": self.action.name,
        }


def instruction_of(data: Any) -> str:
    """Return the instruction that an editor has put into the data of a code action, or ""."""
    instruction = data.get("instruction") if isinstance(data, dict) else None
    return instruction if isinstance(instruction, str) else ""
