"""The language server put together: its life, its settings and its documents; what it is asked for is elsewhere.

Each handler turns protocol types into ours, asks `regions` and `session`, and turns the answer back. Nothing here
blocks: the model works in another process, and a request is given up at the moment its cancellation arrives.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from dgemma_lsp.engines.base import EngineError
from dgemma_lsp.lsp import completion, progress, proofreading, to_lsp
from dgemma_lsp.lsp.actions import PROOFREAD, code_actions, resolve_code_action
from dgemma_lsp.lsp.completion import accepted, editor_state, inline_completion
from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.journal import state_folder
from dgemma_lsp.lsp.serving import EngineFactory, Server
from dgemma_lsp.lsp.status import Reason, State, Status, silent
from dgemma_lsp.lsp.to_lsp import ACCEPTED
from dgemma_lsp.settings.layers import Layer
from dgemma_lsp.settings.preferences import PROJECT_FILE, Preferences
from dgemma_lsp.settings.settings import LogLevel
from dgemma_model.protocol import EngineInfo

SECTION = "dgemma"
"""Of an editor's configuration."""

EDITOR_STATE = "dgemma/editorState"
"""A notification of ours, from editors that want it: see `completion.editor_state`."""

PARENT_POLL_SECONDS = 1.0
"""How often we look whether the editor's process still lives."""


def build_server(
    make_engine: EngineFactory, preferences: Preferences | None = None, folder: Path | None = None
) -> Server:
    """A server that is ready to be started on a transport.

    Args:
        make_engine: called after ``initialize``, when the editor's settings are known, and when they change.
        preferences: what is chosen before the editor says anything.
        folder: for the log and the counters; None: the one that the system has for such things.
    """
    server = Server(
        make_engine, preferences or Preferences(), folder or state_folder(os.environ, Path.home())
    )
    server.feature(lsp.INITIALIZE)(initialize)
    server.feature(lsp.INITIALIZED)(initialized)
    server.feature(lsp.SHUTDOWN)(shut_down)
    server.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)(did_change_configuration)
    server.feature(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(did_change_projects)
    server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)(did_change_projects)
    server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)(did_open)
    server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)(did_change)
    server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)(did_close)
    server.feature(lsp.TEXT_DOCUMENT_DID_SAVE, lsp.SaveOptions(include_text=False))(proofreading.did_save)
    server.feature(lsp.NOTEBOOK_DOCUMENT_DID_OPEN)(did_open_notebook)
    server.feature(lsp.NOTEBOOK_DOCUMENT_DID_CHANGE)(did_change_notebook)
    server.feature(lsp.NOTEBOOK_DOCUMENT_DID_CLOSE)(did_close_notebook)
    server.feature(EDITOR_STATE)(editor_state)
    # Without options pygls would not announce it.
    server.feature(lsp.TEXT_DOCUMENT_INLINE_COMPLETION, lsp.InlineCompletionOptions())(inline_completion)
    kinds = [lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.RefactorRewrite, to_lsp.PROOFREADS]
    options = lsp.CodeActionOptions(kinds, resolve_provider=True)
    server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, options)(code_actions)
    server.feature(lsp.CODE_ACTION_RESOLVE)(resolve_code_action)
    server.command(ACCEPTED)(accepted)
    server.command(PROOFREAD)(proofreading.proofread)
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_unexpected)
    return server


# Life and settings


def initialize(ls: Server, params: lsp.InitializeParams) -> None:
    ls.choose(Layer.OPTIONS, params.initialization_options)
    ls.look_at_projects()
    ls.documents = Documents(lsp.PositionEncodingKind(ls.workspace.position_encoding))
    ls.shows_status = to_lsp.shows_status(params.capabilities)
    ls.open_session()
    if params.process_id:
        # pygls keeps the server alive, and the loop keeps only weak references to tasks.
        ls.watch = asyncio.get_running_loop().create_task(_leave_with(ls, params.process_id))


async def initialized(ls: Server, _params: lsp.InitializedParams) -> None:
    ls.tell_problems()
    _register(ls)
    await _ask_for_configuration(ls)
    if not await _change_engine(ls):
        await load_model(ls)


async def shut_down(ls: Server, *_params: object) -> None:
    ls.shutdown_requested = True
    await asyncio.to_thread(ls.close_session)


async def did_change_configuration(ls: Server, params: lsp.DidChangeConfigurationParams) -> None:
    # Some editors send all of their settings, and others none: they want to be asked.
    if isinstance(params.settings, Mapping) and SECTION in params.settings:
        ls.choose(Layer.EDITOR, params.settings[SECTION])
        ls.tell_problems()
    else:
        await _ask_for_configuration(ls)
    proofreading.publish_all(ls)
    await _change_engine(ls)


async def did_change_projects(ls: Server, _params: object) -> None:
    ls.look_at_projects()
    ls.tell_problems()


async def _change_engine(ls: Server) -> bool:
    """Load the model that the settings name, unless it is the one there is; returns whether it was another one."""
    if ls.has_wanted_engine:
        return False
    await asyncio.to_thread(ls.close_session)
    # Meanwhile somebody may have done it.
    if not ls.has_wanted_engine:
        ls.open_session()
        await load_model(ls)
    return True


async def _ask_for_configuration(ls: Server) -> None:
    workspace = ls.client_capabilities.workspace
    if not workspace or not workspace.configuration:
        return
    wanted = lsp.ConfigurationParams([lsp.ConfigurationItem(section=SECTION)])
    with suppress(TimeoutError, JsonRpcException):
        answer = await asyncio.wait_for(ls.workspace_configuration_async(wanted), progress.ANSWER_SECONDS)
        ls.choose(Layer.EDITOR, answer[0] if answer else None)
        ls.tell_problems()


def _register(ls: Server) -> None:
    """Ask to be told of what changes outside of documents, where the editor waits for being asked."""
    if registrations := to_lsp.registrations(ls.client_capabilities, SECTION, PROJECT_FILE):
        ls.client_register_capability(lsp.RegistrationParams(registrations))


async def load_model(ls: Server) -> None:
    """Load in the background, with a progress bar where the editor has one."""
    if ls.session is None:
        ls.log(LogLevel.INFO, "The server is turned off by its setting enable.")
        ls.tell(silent(Reason.TURNED_OFF.value))
        return
    ls.tell(Status(State.LOADING))
    # Started first: a slow answer of the editor costs no time.
    loading = asyncio.create_task(ls.session.load())
    token = await progress.begin(ls, "dgemma: loading the model", cancellable=True)
    try:
        await progress.unless_stopped(ls, token, loading)
        info = await loading
    except JsonRpcException:
        result = "Loading was stopped; the next request loads the model."
        await _stop_loading(ls, loading)
    except EngineError as error:
        result = "The model could not be loaded."
        ls.show_once(lsp.MessageType.Error, str(error))
        ls.log(LogLevel.ERROR, str(error))
        ls.tell(Status(State.ERROR, str(error)))
    else:
        result = (
            f"{info.model} is ready ({info.parameters / 1e6:.0f} M parameters, {info.device}, {info.dtype})."
        )
        ls.log(LogLevel.INFO, result)
        ls.tell(Status(State.READY))
    progress.end(ls, token, result)


async def _stop_loading(ls: Server, loading: asyncio.Task[EngineInfo]) -> None:
    await asyncio.to_thread(ls.close_session)
    # The engine that was ended tells so, and nobody needs to hear it.
    await asyncio.gather(loading, return_exceptions=True)
    ls.open_session()
    ls.tell(silent(Reason.NOT_LOADED.value))


async def _leave_with(ls: Server, process_id: int) -> None:
    """End this process when the editor's is gone without having closed our input (a child of it may hold it open)."""
    # An editor outside of our container has an id that means nothing here.
    if not _lives(process_id):
        return
    while _lives(process_id):
        await asyncio.sleep(PARENT_POLL_SECONDS)
    ls.close_session()
    os._exit(1)  # pygls' reader waits for input that will never come, and sys.exit would wait for it


def _lives(process_id: int) -> bool:
    if os.name == "nt":  # where signal 0 is Ctrl-C; there the end of the pipe has to do
        return True
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# Documents


def did_open(ls: Server, params: lsp.DidOpenTextDocumentParams) -> None:
    ls.documents.open(params.text_document)


def did_change(ls: Server, params: lsp.DidChangeTextDocumentParams) -> None:
    ls.documents.change(params.text_document.uri, params.text_document.version, params.content_changes)
    proofreading.follow(ls, params.text_document.uri)


def did_close(ls: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    _close(ls, params.text_document.uri)


def _close(ls: Server, uri: str) -> None:
    if document := ls.documents.get(uri):
        completion.forget(ls, document)
        proofreading.forget(ls, document)
        ls.documents.close(document.uri)


def did_open_notebook(ls: Server, params: lsp.DidOpenNotebookDocumentParams) -> None:
    for cell in params.cell_text_documents:
        ls.documents.open(cell)
    notebook = params.notebook_document
    ls.documents.arrange(notebook.uri, [cell.document for cell in notebook.cells])


def did_change_notebook(ls: Server, params: lsp.DidChangeNotebookDocumentParams) -> None:
    cells = params.change.cells
    if cells is None:
        return
    if structure := cells.structure:
        for opened in structure.did_open or ():
            ls.documents.open(opened)
        for closed in structure.did_close or ():
            _close(ls, closed.uri)
        order = ls.documents.cells(params.notebook_document.uri)
        start, count = structure.array.start, structure.array.delete_count
        order[start : start + count] = [cell.document for cell in structure.array.cells or ()]
        ls.documents.arrange(params.notebook_document.uri, order)
    for content in cells.text_content or ():
        ls.documents.change(content.document.uri, content.document.version, content.changes)
        proofreading.follow(ls, content.document.uri)


def did_close_notebook(ls: Server, params: lsp.DidCloseNotebookDocumentParams) -> None:
    ls.documents.arrange(params.notebook_document.uri, [])
    for cell in params.cell_text_documents:
        _close(ls, cell.uri)


def _is_unexpected(record: logging.LogRecord) -> bool:
    """Keeps pygls from writing the traces of errors to stderr that are answers."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, JsonRpcException) and error.code == lsp.LSPErrorCodes.RequestFailed.value)
