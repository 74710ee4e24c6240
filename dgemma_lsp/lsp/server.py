"""The language server, put together: it makes the features, gives each what it needs and lets pygls call them.

Nothing here blocks: the model works in another process, and a request is given up as soon as its cancellation arrives.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from dgemma_lsp import __version__
from dgemma_lsp.lsp.acceptance import Acceptance
from dgemma_lsp.lsp.actions import Actions
from dgemma_lsp.lsp.capabilities import shows_status
from dgemma_lsp.lsp.completer import Completer
from dgemma_lsp.lsp.completion import Completions
from dgemma_lsp.lsp.counters import Counters
from dgemma_lsp.lsp.document_sync import DocumentSync
from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.editor_state import EditorState
from dgemma_lsp.lsp.log_file import LogFile
from dgemma_lsp.lsp.model_loading import ModelLoader
from dgemma_lsp.lsp.names import SERVER, ActionKind, CommandName, Notification
from dgemma_lsp.lsp.parent_watch import ParentWatch
from dgemma_lsp.lsp.progress import Bars
from dgemma_lsp.lsp.proofreading import Proofreader
from dgemma_lsp.lsp.pygls_gaps import Protocol, keep_answers_out_of_stderr
from dgemma_lsp.lsp.rewriting import Rewriter
from dgemma_lsp.lsp.scope import Scope
from dgemma_lsp.lsp.session_holder import EngineFactory, SessionHolder
from dgemma_lsp.lsp.settings_watch import SettingsWatch
from dgemma_lsp.lsp.state_folder import state_folder
from dgemma_lsp.lsp.teller import Teller
from dgemma_lsp.settings.preferences import Preferences

_NOTEBOOKS = lsp.NotebookDocumentSyncOptions([lsp.NotebookDocumentFilterWithNotebook(notebook="*")])
"""Notebooks of every kind."""

_ACTION_KINDS = (lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.RefactorRewrite, ActionKind.PROOFREAD)


def build_server(
    make_engine: EngineFactory, preferences: Preferences | None = None, folder: Path | None = None
) -> Server:
    """Make a server that is ready to be started on a transport.

    Args:
        make_engine: called after ``initialize``, when the editor's settings are known, and when they change.
        preferences: what is chosen before the editor says anything.
        folder: where the log and the counters are; None for the folder that the system has for such files.
    """
    folder = folder or state_folder(os.environ, Path.home())
    keep_answers_out_of_stderr()
    return Server(make_engine, preferences or Preferences(), folder)


class Server(LanguageServer):
    """The server of pygls with our features.

    Args:
        make_engine: see `build_server`.
        preferences: see `build_server`.
        folder: see `build_server`.

    Attributes:
        shutdown_requested: whether the editor has asked for a shutdown before it went away.
    """

    def __init__(self, make_engine: EngineFactory, preferences: Preferences, folder: Path) -> None:
        super().__init__(SERVER, __version__, notebook_document_sync=_NOTEBOOKS, protocol_cls=Protocol)
        self.shutdown_requested = False
        self._log_file = LogFile(folder)
        self._counters = Counters(folder)
        self._documents = Documents()
        self._sessions = SessionHolder(make_engine, preferences)
        self._parent_watch = ParentWatch(self._sessions.close)
        self._teller = Teller(self, preferences, self._log_file, self._sessions.is_loading)
        self._bars = Bars(self, self._capabilities)
        self._model = ModelLoader(self._sessions, self._bars, self._teller)
        self._scope = Scope(self._documents, preferences, self._roots)
        self._settings = SettingsWatch(
            self, self._capabilities, preferences, self._roots, self._teller, self._settings_changed
        )
        self._editor_state = EditorState(self._documents)
        self._acceptance = Acceptance(self._documents, preferences, self._counters)
        self._completions = self._make_completions(preferences)
        self._proofreader = self._make_proofreader(preferences)
        self._register_life()
        self._register_documents()
        self._register_features(self._make_actions(preferences), self._make_rewriter(preferences))

    # The features

    def _make_completions(self, preferences: Preferences) -> Completions:
        return Completions(
            self._documents,
            self._sessions,
            preferences,
            self._scope,
            self._editor_state,
            Completer(self._documents, self._sessions, preferences, self._scope, self._teller),
            self._acceptance,
            self._teller,
        )

    def _make_proofreader(self, preferences: Preferences) -> Proofreader:
        return Proofreader(
            self._documents,
            self._sessions,
            preferences,
            self._scope,
            self._capabilities,
            self._bars,
            self.text_document_publish_diagnostics,
            self._teller,
        )

    def _make_actions(self, preferences: Preferences) -> Actions:
        return Actions(
            self._documents,
            self._sessions,
            preferences,
            self._scope,
            self._proofreader,
            self._capabilities,
            self._teller,
        )

    def _make_rewriter(self, preferences: Preferences) -> Rewriter:
        return Rewriter(
            self._documents,
            self._sessions,
            preferences,
            self._scope,
            self._capabilities,
            self._bars,
            self.progress,
            self._teller,
        )

    # What pygls calls for which message

    def _register_life(self) -> None:
        self._on(lsp.INITIALIZE, self._initialize)
        self._on(lsp.INITIALIZED, self._initialized)
        self._on(lsp.SHUTDOWN, self._shut_down)
        self._on(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION, self._configuration_changed)
        self._on(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS, self._projects_changed)
        self._on(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, self._projects_changed)

    def _register_documents(self) -> None:
        closing = (
            self._acceptance.forget,
            self._completions.forget,
            self._editor_state.forget,
            self._proofreader.forget,
        )
        sync = DocumentSync(self._documents, self._proofreader.follow, closing)
        self._on(lsp.TEXT_DOCUMENT_DID_OPEN, sync.did_open)
        self._on(lsp.TEXT_DOCUMENT_DID_CHANGE, sync.did_change)
        self._on(lsp.TEXT_DOCUMENT_DID_CLOSE, sync.did_close)
        self._on(lsp.NOTEBOOK_DOCUMENT_DID_OPEN, sync.did_open_notebook)
        self._on(lsp.NOTEBOOK_DOCUMENT_DID_CHANGE, sync.did_change_notebook)
        self._on(lsp.NOTEBOOK_DOCUMENT_DID_CLOSE, sync.did_close_notebook)
        self._on(Notification.EDITOR_STATE, self._editor_state.changed)

    def _register_features(self, actions: Actions, rewriter: Rewriter) -> None:
        # Without options pygls would not announce that there are completions.
        completion = lsp.InlineCompletionOptions()
        self._on(lsp.TEXT_DOCUMENT_INLINE_COMPLETION, self._completions.inline_completion, completion)
        self._on(lsp.TEXT_DOCUMENT_DID_SAVE, self._proofreader.did_save, lsp.SaveOptions(include_text=False))
        code_action = lsp.CodeActionOptions(_ACTION_KINDS, resolve_provider=True)
        self._on(lsp.TEXT_DOCUMENT_CODE_ACTION, actions.code_actions, code_action)
        self._on(lsp.CODE_ACTION_RESOLVE, rewriter.resolve)
        self.command(CommandName.ACCEPTED)(partial(self._completions.accepted))
        self.command(CommandName.PROOFREAD)(partial(self._proofreader.proofread))

    def _on(self, method: str, handler: Callable[..., Any], options: object = None) -> None:
        # pygls sets attributes on what it registers, which a bound method does not allow.
        self.feature(method, options)(partial(handler))

    # Life and settings

    def _initialize(self, params: lsp.InitializeParams) -> None:
        self._settings.begin(params.initialization_options)
        self._teller.editor_shows_status = shows_status(params.capabilities)
        self._documents.agree_on(lsp.PositionEncodingKind(self.workspace.position_encoding))
        self._sessions.open()
        if params.process_id:
            self._parent_watch.start(params.process_id)

    async def _initialized(self, _params: lsp.InitializedParams) -> None:
        await self._settings.begin_to_talk()
        if not await self._model.follow_settings():
            await self._model.load()

    async def _shut_down(self, *_params: object) -> None:
        self.shutdown_requested = True
        await asyncio.to_thread(self._sessions.close)

    async def _configuration_changed(self, params: lsp.DidChangeConfigurationParams) -> None:
        await self._settings.configuration_changed(params.settings)
        self._proofreader.show_again()
        await self._model.follow_settings()

    async def _projects_changed(self, _params: object) -> None:
        self._settings.projects_changed()

    def _settings_changed(self) -> None:
        self._scope.renew()
        self._completions.begin_anew()

    def _capabilities(self) -> lsp.ClientCapabilities:
        """Return what the editor can do; it says so in ``initialize``."""
        return self.client_capabilities

    def _roots(self) -> list[str]:
        """Return the folders of the workspace."""
        # Some editors only send the root of older versions of the protocol.
        uris = [folder.uri for folder in self.workspace.folders.values()] or [self.workspace.root_uri or ""]
        return [path for uri in uris if (path := to_fs_path(uri))]

    # What pygls calls besides

    def shutdown(self) -> None:
        """Clean up when the transport is closed, for whatever reason."""
        self._sessions.close()
        self._counters.save()
        self._log_file.close()
        super().shutdown()  # type: ignore[no-untyped-call]

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log that a message could not be handled."""
        self._teller.log_failure(error)
