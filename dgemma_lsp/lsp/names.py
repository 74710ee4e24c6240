"""The names of our own that editors must spell the same way.

Only the standard library is imported here, because the greeting needs these names before anything else is loaded.
"""

from __future__ import annotations

from enum import StrEnum

SERVER = "dgemma-lsp"
"""The server's name."""

SECTION = "dgemma"
"""The section of an editor's configuration that holds our settings, and the source of our diagnostics."""


class Notification(StrEnum):
    """Notifications that the protocol does not have. An editor that does not know them can ignore them."""

    STATUS = "dgemma/status"
    """To the editor: what the server is doing, as {"state": …} with a "reason" or an "advice"."""
    EDITOR_STATE = "dgemma/editorState"
    """From the editor: {"uri": …, "selecting": …, "readOnly": …} of a document; see `editor_state`."""


class CommandName(StrEnum):
    """Commands that an editor can execute."""

    ACCEPTED = "dgemma.accepted"
    """The user has accepted a completion."""
    PROOFREAD = "dgemma.proofread"
    """The user wants a document to be proofread."""


class ActionKind(StrEnum):
    """Kinds of code actions that the protocol does not have."""

    PROOFREAD = "source.proofread"


class Experimental(StrEnum):
    """What an editor can say about itself under ``experimental`` in its capabilities."""

    STATUS = "dgemmaStatus"
    """It shows what the server is doing."""
