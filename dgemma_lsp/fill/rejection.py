"""Why a fill must not be shown."""

from __future__ import annotations

from enum import Enum


class Rejection(Enum):
    """Why a candidate must not be shown."""

    INCOMPLETE = "incomplete"
    EMPTY = "empty"
    UNCHANGED = "unchanged"
    UNENCODABLE = "unencodable"
    LOW_CONFIDENCE = "low confidence"
    UNPARSEABLE = "unparseable"
    DUPLICATE = "duplicate"
