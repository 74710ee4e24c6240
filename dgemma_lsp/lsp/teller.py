"""What the user is told: a log, messages that pop up, and what the server is doing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from lsprotocol.types import LogMessageParams, MessageType, ShowMessageParams
from pygls.lsp.server import LanguageServer

from dgemma_lsp.lsp.log_file import LogFile
from dgemma_lsp.lsp.names import Notification
from dgemma_lsp.lsp.status import FILLING, READY, State, Status
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.settings.settings import LogLevel

_MESSAGE_TYPES: Mapping[LogLevel, MessageType] = MappingProxyType(
    {
        LogLevel.ERROR: MessageType.Error,
        LogLevel.WARNING: MessageType.Warning,
        LogLevel.INFO: MessageType.Info,
        LogLevel.DEBUG: MessageType.Log,  # Debug is newer than many editors
    }
)


class Teller:
    """Tells the user what happens.

    Args:
        editor: the connection to the editor.
        preferences: what the user wants to be told.
        log_file: the log on disk.
        is_loading: whether the model is being loaded, or has yet to be.

    Attributes:
        editor_shows_status: whether the editor shows what the server is doing; the user can also wish it in a setting.
    """

    def __init__(
        self,
        editor: LanguageServer,
        preferences: Preferences,
        log_file: LogFile,
        is_loading: Callable[[], bool],
    ) -> None:
        self._editor = editor
        self._preferences = preferences
        self._log_file = log_file
        self._is_loading = is_loading
        self.editor_shows_status = False
        self._shown: set[str] = set()
        self._status: Status | None = None
        self._waiting = 0

    def log(self, level: LogLevel, message: str, source: str = "") -> None:
        """Write to the editor's log and to the one on disk, if the user wants messages of this level.

        Args:
            level: how important the message is.
            message: a sentence of ours, without source code.
            source: what may be source code, or quote it; it is left out unless the user has asked for it.
        """
        settings = self._preferences.settings
        if not settings.log_level.lets_pass(level):
            return
        if settings.log_source and source:
            message = f"{message} {source}"
        self._editor.window_log_message(LogMessageParams(_MESSAGE_TYPES[level], message))
        if settings.log_file:
            self._log_file.write(level.value, message)

    def log_failure(self, error: Exception) -> None:
        """Log that a message from the editor could not be handled. This is nothing for the user's screen."""
        settings, message = self._preferences.settings, "A message from the editor could not be handled:"
        if settings.log_level.lets_pass(LogLevel.ERROR):
            self._editor.window_log_message(LogMessageParams(MessageType.Error, f"{message} {error}"))
        if settings.log_file:
            # The error may quote a document.
            what = str(error) if settings.log_source else type(error).__name__
            self._log_file.write(LogLevel.ERROR.value, f"{message} {what}.")

    def warn(self, message: str) -> None:
        """Show a warning, but the same one only once."""
        self._show_once(MessageType.Warning, message)

    def alarm(self, message: str) -> None:
        """Show an error, but the same one only once: errors tend to come at every keystroke."""
        self._show_once(MessageType.Error, message)

    def tell(self, status: Status) -> None:
        """Tell the editor what the server is doing, if it wants to know and does not know yet."""
        # Whatever has become of one request, somebody may still wait for another.
        if self._waiting and status.state in (State.READY, State.SILENT):
            status = FILLING
        if status == self._status or (status in (READY, FILLING) and self._is_loading()):
            return
        self._status = status
        if self.editor_shows_status or self._preferences.settings.status:
            self._editor.protocol.notify(Notification.STATUS, status.to_json())

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Say that somebody waits for the model.

        The caller tells what has become of the request, unless an exception ends it.
        """
        self._waiting += 1
        self.tell(FILLING)
        try:
            yield
        except BaseException:
            self._waiting -= 1
            self.tell(READY)
            raise
        self._waiting -= 1

    def _show_once(self, kind: MessageType, message: str) -> None:
        if message not in self._shown:
            self._shown.add(message)
            self._editor.window_show_message(ShowMessageParams(kind, message))
