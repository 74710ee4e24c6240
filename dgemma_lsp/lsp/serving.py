"""What all handlers of the language server share: the server itself, without any of them.

The protocol's own bookkeeping is set right in some places here. pygls keeps a future for each notification for ever,
and a second copy of every document, whose lines it looks for at each key; and it leaves those without an answer who
send a request with wrong parameters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol
from pygls.uris import to_fs_path

from dgemma_lsp import __version__
from dgemma_lsp.engines.base import Engine
from dgemma_lsp.fill.context import Context
from dgemma_lsp.lsp.documents import Documents, Snapshot, path_of
from dgemma_lsp.lsp.greeting import NAME
from dgemma_lsp.lsp.journal import Counters, LogFile
from dgemma_lsp.lsp.session import Session
from dgemma_lsp.lsp.status import Reason, State, Status
from dgemma_lsp.lsp.suggestions import Noted, Rest, Suggestions
from dgemma_lsp.settings.exclusion import Exclusions
from dgemma_lsp.settings.layers import Layer
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.settings.settings import LogLevel, Settings
from dgemma_lsp.text import languages
from dgemma_lsp.text.masked import Region

STATUS = "dgemma/status"
"""A notification of ours, for editors that want it: {"state": …}, with a "reason" or an "advice"."""

OWN_DOCUMENTS = (
    lsp.TEXT_DOCUMENT_DID_OPEN,
    lsp.TEXT_DOCUMENT_DID_CHANGE,
    lsp.TEXT_DOCUMENT_DID_CLOSE,
    lsp.NOTEBOOK_DOCUMENT_DID_OPEN,
    lsp.NOTEBOOK_DOCUMENT_DID_CHANGE,
    lsp.NOTEBOOK_DOCUMENT_DID_CLOSE,
)
"""What pygls need not follow, since `Documents` does."""

CELLS = lsp.NotebookDocumentSyncOptions([lsp.NotebookDocumentFilterWithNotebook(notebook="*")])
"""Of every kind of notebook."""

EngineFactory = Callable[[Settings], Engine]

Answer = list[Rest] | Status
"""What may be shown, or why nothing is."""

_MESSAGE_TYPES = MappingProxyType(
    {
        LogLevel.ERROR: lsp.MessageType.Error,
        LogLevel.WARNING: lsp.MessageType.Warning,
        LogLevel.INFO: lsp.MessageType.Info,
        LogLevel.DEBUG: lsp.MessageType.Log,  # Debug is newer than many editors
    }
)


@dataclass(frozen=True, slots=True)
class Wish:
    """A completion that nobody has asked for.

    Attributes:
        uri: of the document, as it was opened.
        text: the document, perhaps as it will be.
        cursor: a character offset in ``text``.
    """

    uri: str
    text: str
    cursor: int


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """A completion that was taken over.

    Attributes:
        uri: of its document.
        text: of it.
        place: where it was put.
    """

    uri: str
    text: str
    place: Region


class Protocol(LanguageServerProtocol):
    """pygls' protocol, which forgets what is over, and answers requests that it does not understand too."""

    def structure_message(self, data: dict[str, Any]) -> Any:
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "method" in data and isinstance(data.get("id"), int | str):
                self._send_response(data["id"], error=error.to_response_error())
            raise

    def _execute_handler(
        self,
        msg_id: str | int,
        handler: Callable[[Any], Any],
        callback: Callable[[Future[Any]], None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        def settled(future: Future[Any]) -> None:
            if self._request_futures.get(msg_id) is future:
                del self._request_futures[msg_id]
            callback(future)

        super()._execute_handler(msg_id, handler, settled, args, kwargs)


class Server(LanguageServer):
    """What the handlers share.

    Args:
        make_engine: called when the settings are known, and when they change.
        preferences: what is chosen before the editor says anything.
        folder: for the log and the counters.

    Attributes:
        preferences: what has been chosen so far.
        documents: the open ones.
        exclusions: documents that are left alone.
        suggestions: the last ones, as far as they were made with the present settings.
        context: finds pieces of other documents for completions.
        ahead: the last thing that was computed although nobody had asked for it, or is being computed.
        session: None while the user has turned the server off.
        counters: of what was shown and accepted.
        accepted: of which it is to be seen how much of it is kept.
        hints: at what may be wrong, of each document.
        read_lines: lines of each document that need not be proofread when it is saved.
        selecting: documents in which something is selected, as far as the editor tells.
        read_only: documents that cannot be changed, as far as the editor tells.
        shows_status: the editor says that it shows what the server is doing; the setting says it too.
        watch: looks whether the editor's process still lives.
        shutdown_requested: the editor said good-bye in the right order.
    """

    def __init__(self, make_engine: EngineFactory, preferences: Preferences, folder: Path) -> None:
        super().__init__(NAME, __version__, notebook_document_sync=CELLS, protocol_cls=Protocol)
        for method in OWN_DOCUMENTS:
            del self.protocol.fm.builtin_features[method]
        self.preferences = preferences
        self.documents = Documents(lsp.PositionEncodingKind.Utf16)
        self.exclusions = Exclusions(preferences.settings.exclude)
        self.suggestions = Suggestions()
        self.context = Context()
        self.ahead: tuple[Wish, asyncio.Task[Answer]] | None = None
        self.session: Session | None = None
        self.counters = Counters(folder)
        self.accepted: list[Accepted] = []
        self.hints: dict[str, list[Noted]] = {}
        self.read_lines: dict[str, set[str]] = {}
        self.selecting: set[str] = set()
        self.read_only: set[str] = set()
        self.shows_status = False
        self.shutdown_requested = False
        self.watch: asyncio.Task[None] | None = None
        self._log_file = LogFile(folder)
        self._make_engine = make_engine
        self._made: tuple[object, ...] = ()
        self._shown: set[str] = set()
        self._status: Status | None = None
        self._waiting = 0

    @property
    def settings(self) -> Settings:
        """Those that concern no document."""
        return self.preferences.settings

    @property
    def roots(self) -> list[str]:
        """The folders of the workspace."""
        # Some editors send only the older root.
        uris = [folder.uri for folder in self.workspace.folders.values()] or [self.workspace.root_uri or ""]
        return [path for uri in uris if (path := to_fs_path(uri))]

    # Settings

    def choose(self, layer: Layer, options: object) -> None:
        """Take over what is said in a layer; what is wrong with it is told by `tell_problems`."""
        self.preferences.choose(layer, options)
        self._begin_anew()

    def look_at_projects(self) -> None:
        """Take over what the projects' files say; what is wrong with it is told by `tell_problems`."""
        self.preferences.look_at(self.roots)
        self._begin_anew()

    def tell_problems(self) -> None:
        """Tell the user what is wrong with the settings and was not told yet."""
        for problem in self.preferences.take_problems():
            self.show_once(lsp.MessageType.Warning, problem)

    def _begin_anew(self) -> None:
        self.exclusions = Exclusions(self.settings.exclude)
        self.suggestions = Suggestions()
        self.ahead = None

    # The engine

    @property
    def has_wanted_engine(self) -> bool:
        """Whether the engine is the one that the settings name."""
        return self._made == _engine_part(self.settings)

    def open_session(self) -> None:
        """Make the engine that the settings name; the model is loaded by the first request, or by whoever waits."""
        self.session = Session(self._make_engine(self.settings)) if self.settings.enable else None
        self._made = _engine_part(self.settings)

    def close_session(self) -> None:
        """End the engine; may take a second or two."""
        session, self.session = self.session, None
        if session is not None:
            session.close()

    # Documents

    def why_unwanted(self, document: Snapshot) -> str:
        """Why nothing is to be done in a document; "" when it may be."""
        # A cell is excluded with its notebook.
        for uri in filter(None, (document.uri, self.documents.notebook(document.uri))):
            if excluded := self.exclusions.reason(uri, path_of(uri), self.roots):
                return excluded.value
        # In a language that the model never saw it would only disturb.
        wanted = languages.is_one_of(document.language, self.preferences.of(document.path).languages)
        return "" if wanted else Reason.LANGUAGE.value

    # What is told

    def log(self, level: LogLevel, message: str, source: str = "") -> None:
        """Write to the editor's log and to the one on disk, if the user wants messages of this level.

        Args:
            level: how important it is.
            message: a sentence of ours, without source code.
            source: source code, or what others say, for whoever has asked for it.
        """
        if not self.settings.log_level.lets_pass(level):
            return
        if self.settings.log_source and source:
            message = f"{message} {source}"
        self.window_log_message(lsp.LogMessageParams(_MESSAGE_TYPES[level], message))
        if self.settings.log_file:
            self._log_file.write(level.value, message)

    def show_once(self, kind: lsp.MessageType, message: str) -> None:
        """Show a message to the user, but the same one never again: errors tend to come at every keystroke."""
        if message not in self._shown:
            self._shown.add(message)
            self.window_show_message(lsp.ShowMessageParams(kind, message))

    def tell(self, status: Status) -> None:
        """Tell the editor what the server is doing, if it wants to know and does not know it yet."""
        # Whatever became of one wish, somebody may still wait for another.
        if self._waiting and status.state in (State.READY, State.SILENT):
            status = Status(State.FILLING)
        loading = self.session is not None and self.session.status.state is State.LOADING
        if status == self._status or (loading and status.state in (State.READY, State.FILLING)):
            return
        self._status = status
        if self.shows_status or self.settings.status:
            self.protocol.notify(STATUS, status.to_json())

    @contextmanager
    def filling(self) -> Iterator[None]:
        """While somebody waits for the model; what became of it is told by them, unless they have given up."""
        self._waiting += 1
        self.tell(Status(State.FILLING))
        try:
            yield
        except BaseException:
            self._waiting -= 1
            self.tell(Status(State.READY))
            raise
        self._waiting -= 1

    # The end

    def shutdown(self) -> None:
        """Called by pygls when the transport is closed, however that came about."""
        self.close_session()
        self.counters.save()
        self._log_file.close()
        super().shutdown()  # type: ignore[no-untyped-call]

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Called by pygls; a message that could not be handled is for the log, not for the user's screen."""
        del source
        message = "A message from the editor could not be handled:"
        if self.settings.log_level.lets_pass(LogLevel.ERROR):
            self.window_log_message(lsp.LogMessageParams(lsp.MessageType.Error, f"{message} {error}"))
        if self.settings.log_file:
            # What went wrong may quote a document.
            told = str(error) if self.settings.log_source else type(error).__name__
            self._log_file.write(LogLevel.ERROR.value, f"{message} {told}.")


def _engine_part(settings: Settings) -> tuple[object, ...]:
    return settings.enable, settings.model, settings.device


def failure(message: str, code: int = lsp.LSPErrorCodes.RequestFailed.value) -> JsonRpcException:
    """An error that the editor shows to the user."""
    return JsonRpcException(message, code)
