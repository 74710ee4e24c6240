"""Errors that a request is answered with, and that the editor shows to the user."""

from __future__ import annotations

from lsprotocol.types import LSPErrorCodes
from pygls.exceptions import JsonRpcException

TURNED_OFF = "The server is turned off by its setting enable."


def failure(message: str) -> JsonRpcException:
    """Make an error that says in one sentence why there is no answer."""
    return JsonRpcException(message, LSPErrorCodes.RequestFailed.value)


def cancellation(message: str) -> JsonRpcException:
    """Make an error that says that the user has stopped the work."""
    return JsonRpcException(message, LSPErrorCodes.RequestCancelled.value)


def is_failure(error: BaseException | None) -> bool:
    """Whether an error was made by `failure`, and so is an ordinary answer."""
    return isinstance(error, JsonRpcException) and error.code == LSPErrorCodes.RequestFailed.value
