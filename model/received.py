"""The texts of a worker's requests, of which an asker sends only what is new.

From key to key a long document stays nearly the same, and sending, reading and decoding all of it takes longer than
much of what is then done with it. So in place of a text that has something in common with the one that stood in the
same place of the last request there may be ``[kept, "new text", kept]``: how many characters at the beginning and at
the end of that text are kept, and what is between them now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Shortened = str | Sequence[Any]
"""A text, or what is new in it."""


class Received:
    """The last texts, by the name of what they are."""

    def __init__(self) -> None:
        self._last: dict[str, list[str]] = {}

    def restore(self, message: dict[str, Any]) -> None:
        """Put the texts of a request back in place, in the order in which the requests were sent."""
        if "segments" in message:
            message["segments"] = self._restored("segments", message["segments"])
            options = message["options"]
            options["context"] = self._restored("context", options.get("context", ()))
        if "text" in message:
            (message["text"],) = self._restored("text", [message["text"]])

    def _restored(self, name: str, texts: Sequence[Shortened]) -> list[str]:
        last = self._last.get(name, [])
        self._last[name] = [
            text if isinstance(text, str) else _whole(last[index], *text) for index, text in enumerate(texts)
        ]
        return self._last[name]


def _whole(before: str, head: int, new: str, tail: int) -> str:
    return before[:head] + new + before[len(before) - tail :]
