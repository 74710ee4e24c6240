"""What pygls lacks. Only this module touches its inside, and only where it offers no other way.

pygls keeps some futures for ever, does not answer requests with wrong parameters, and keeps a second copy of every
document, in which it looks for all lines at each key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from cattrs import Converter
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import JsonRPCProtocol, JsonRPCRequestMessage, LanguageServerProtocol

from dgemma_lsp.lsp.failures import is_failure

_DOCUMENT_METHODS = (
    lsp.TEXT_DOCUMENT_DID_OPEN,
    lsp.TEXT_DOCUMENT_DID_CHANGE,
    lsp.TEXT_DOCUMENT_DID_CLOSE,
    lsp.NOTEBOOK_DOCUMENT_DID_OPEN,
    lsp.NOTEBOOK_DOCUMENT_DID_CHANGE,
    lsp.NOTEBOOK_DOCUMENT_DID_CLOSE,
)

_REFUSED = "dgemma/refused"
"""The method that a request with wrong parameters is turned into; its handler raises what is wrong."""


class Protocol(LanguageServerProtocol):
    """The protocol of pygls, mended."""

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        super().__init__(server, converter)
        # `Documents` keeps the documents.
        for method in _DOCUMENT_METHODS:
            del self.fm.builtin_features[method]
        self.fm.feature(_REFUSED)(_refuse)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Turn a request that cannot be understood into one that is answered with the error."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "method" in data and isinstance(data.get("id"), int | str):
                return JsonRPCRequestMessage(data["id"], _REFUSED, JsonRPCProtocol.VERSION, error)
            raise

    # pygls forgets the future of a request, but not that of a notification or of a command. It has no hook that runs
    # when a handler has ended.
    def _execute_handler(
        self,
        msg_id: str | int,
        handler: Callable[[Any], Any],
        callback: Callable[[Future[Any]], None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        def ended(future: Future[Any]) -> None:
            if self._request_futures.get(msg_id) is future:
                del self._request_futures[msg_id]
            callback(future)

        super()._execute_handler(msg_id, handler, ended, args, kwargs)


def _refuse(error: JsonRpcException) -> None:
    raise error


def keep_answers_out_of_stderr() -> None:
    """Keep pygls from writing a traceback to stderr when a request is answered with an error."""
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_unexpected)


def _is_unexpected(record: logging.LogRecord) -> bool:
    return not is_failure(record.exc_info[1] if record.exc_info else None)
