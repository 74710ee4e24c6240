"""The language server: handlers between the protocol and everything else.

Each handler turns protocol types into ours, asks `regions` and `session`, and turns the answer back. Nothing here
blocks: the model works in another process, and a request is given up at the moment its cancellation arrives.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from dgemma_lsp import __version__, lsp_edits, syntax
from dgemma_lsp.documents import Documents, Snapshot
from dgemma_lsp.engines.base import Engine, EngineError, FillOptions
from dgemma_lsp.greeting import NAME
from dgemma_lsp.lsp_edits import Offer
from dgemma_lsp.masked import MaskedDocument, Region, RegionError
from dgemma_lsp.pipeline import Candidate, Gate, Outcome
from dgemma_lsp.polish import Rejection
from dgemma_lsp.regions import Action, Frame, Silence, completion_region, framed, frames, offered
from dgemma_lsp.session import Session, Superseded, Urgency
from dgemma_lsp.settings import LogLevel, Settings, parse

SECTION = "dgemma"
"""Of an editor's configuration."""

PARENT_POLL_SECONDS = 1.0
"""How often we look whether the editor's process still lives."""

PROGRESS_SECONDS = 2.0
"""How long the editor may take to agree to a progress bar before we do without."""

STALE = "The document has changed since the action was offered; select the text and ask again."

EngineFactory = Callable[[Settings], Engine]

_MESSAGE_TYPES = MappingProxyType(
    {
        LogLevel.ERROR: lsp.MessageType.Error,
        LogLevel.WARNING: lsp.MessageType.Warning,
        LogLevel.INFO: lsp.MessageType.Info,
        LogLevel.DEBUG: lsp.MessageType.Log,  # Debug is newer than many editors
    }
)


class Server(LanguageServer):
    """What the handlers share.

    Attributes:
        settings: as chosen so far.
        documents: the open ones.
        session: None while the user has turned the server off.
        shutdown_requested: the editor said good-bye in the right order.
    """

    def __init__(self, settings: Settings, make_engine: EngineFactory) -> None:
        super().__init__(NAME, __version__)
        self.settings = settings
        self.documents = Documents(lsp.PositionEncodingKind.Utf16)
        self.session: Session | None = None
        self.shutdown_requested = False
        self._make_engine = make_engine
        self._problems: list[str] = []
        self._shown: set[str] = set()
        self._watch: asyncio.Task[None] | None = None

    def choose(self, options: object) -> None:
        """Take over settings; what is wrong with them is told by `tell_problems`."""
        self.settings, problems = parse(options, self.settings)
        self._problems += problems

    def tell_problems(self) -> None:
        problems, self._problems = self._problems, []
        for problem in problems:
            self.show_once(lsp.MessageType.Warning, problem)

    def open_session(self) -> None:
        """Make the engine that the settings name; the model is loaded by the first request, or by `load_model`."""
        self.session = Session(self._make_engine(self.settings)) if self.settings.enable else None

    def close_session(self) -> None:
        """End the engine; may take a second or two."""
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def watch_editor(self, process_id: int) -> None:
        self._watch = asyncio.get_running_loop().create_task(_leave_with(self, process_id))

    def log(self, level: LogLevel, message: str) -> None:
        """Write to the editor's log, if the user wants messages of this level."""
        if self.settings.log_level.lets_pass(level):
            self.window_log_message(lsp.LogMessageParams(_MESSAGE_TYPES[level], message))

    def show_once(self, kind: lsp.MessageType, message: str) -> None:
        """Show a message to the user, but the same one never again: errors tend to come at every keystroke."""
        if message not in self._shown:
            self._shown.add(message)
            self.window_show_message(lsp.ShowMessageParams(kind, message))

    def shutdown(self) -> None:
        """Called by pygls when the transport is closed, however that came about."""
        self.close_session()
        super().shutdown()  # type: ignore[no-untyped-call]

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Called by pygls; a message that could not be handled is for the log, not for the user's screen."""
        del source
        self.log(LogLevel.ERROR, f"A message from the editor could not be handled: {error}")


def build_server(settings: Settings, make_engine: EngineFactory) -> Server:
    """A server that is ready to be started on a transport.

    Args:
        settings: hold until the editor sends others.
        make_engine: called after ``initialize``, when the editor's settings are known, and when they change.
    """
    server = Server(settings, make_engine)
    server.feature(lsp.INITIALIZE)(initialize)
    server.feature(lsp.INITIALIZED)(initialized)
    server.feature(lsp.SHUTDOWN)(shut_down)
    server.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)(did_change_configuration)
    server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)(did_open)
    server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)(did_change)
    server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)(did_close)
    # Without options pygls would not announce it.
    server.feature(lsp.TEXT_DOCUMENT_INLINE_COMPLETION, lsp.InlineCompletionOptions())(inline_completion)
    rewrites = lsp.CodeActionOptions([lsp.CodeActionKind.RefactorRewrite], resolve_provider=True)
    server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, rewrites)(code_actions)
    server.feature(lsp.CODE_ACTION_RESOLVE)(resolve_code_action)
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_unexpected)
    return server


# Life and settings


def initialize(ls: Server, params: lsp.InitializeParams) -> None:
    ls.choose(params.initialization_options)
    ls.documents = Documents(lsp.PositionEncodingKind(ls.workspace.position_encoding))
    ls.open_session()
    if params.process_id:
        ls.watch_editor(params.process_id)


async def initialized(ls: Server, _params: lsp.InitializedParams) -> None:
    ls.tell_problems()
    await load_model(ls)


async def shut_down(ls: Server, *_params: object) -> None:
    ls.shutdown_requested = True
    await asyncio.to_thread(ls.close_session)


async def did_change_configuration(ls: Server, params: lsp.DidChangeConfigurationParams) -> None:
    # Some editors send all of their settings, and null when they want to be asked for them.
    if not isinstance(params.settings, Mapping) or SECTION not in params.settings:
        return
    before = ls.settings
    ls.choose(params.settings[SECTION])
    ls.tell_problems()
    if _engine_part(ls.settings) != _engine_part(before):
        await asyncio.to_thread(ls.close_session)
        ls.open_session()
        await load_model(ls)


def _engine_part(settings: Settings) -> tuple[object, ...]:
    return settings.enable, settings.model, settings.device


async def load_model(ls: Server) -> None:
    """Load in the background, with a progress bar where the editor has one."""
    if ls.session is None:
        ls.log(LogLevel.INFO, "The server is turned off by its setting enable.")
        return
    # Started first: a slow answer of the editor costs no time.
    loading = asyncio.create_task(ls.session.load())
    token = await _begin_progress(ls, "dgemma: loading the model")
    try:
        info = await loading
    except EngineError as error:
        result = "The model could not be loaded."
        ls.show_once(lsp.MessageType.Error, str(error))
        ls.log(LogLevel.ERROR, str(error))
    else:
        result = (
            f"{info.model} is ready ({info.parameters / 1e6:.0f} M parameters, {info.device}, {info.dtype})."
        )
        ls.log(LogLevel.INFO, result)
    if token is not None:
        ls.work_done_progress.end(token, lsp.WorkDoneProgressEnd(message=result))


async def _begin_progress(ls: Server, title: str) -> str | None:
    window = ls.client_capabilities.window
    if not window or not window.work_done_progress:
        return None
    token = str(uuid.uuid4())
    with suppress(TimeoutError, JsonRpcException):
        await asyncio.wait_for(ls.work_done_progress.create_async(token), PROGRESS_SECONDS)
        ls.work_done_progress.begin(token, lsp.WorkDoneProgressBegin(title))
        return token
    return None


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


def did_close(ls: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    ls.documents.close(params.text_document.uri)


# Inline completion


async def inline_completion(ls: Server, params: lsp.InlineCompletionParams) -> lsp.InlineCompletionList:
    document = ls.documents.get(params.text_document.uri)
    if document is None or ls.session is None:
        return _silent(ls, "the document is not open" if document is None else "the server is turned off")
    region = _completion_region(ls, document, params.position)
    if isinstance(region, Silence):
        return _silent(ls, region.value)
    masked = MaskedDocument(document.text, (region,), document.path, document.language)
    asked = params.context.trigger_kind is lsp.InlineCompletionTriggerKind.Invoked
    try:
        outcome = await _complete(ls.session, ls.settings, masked, document.uri, asked)
    except Superseded:
        return _silent(ls, "a newer request has come")
    except EngineError as error:
        ls.show_once(lsp.MessageType.Error, str(error))
        return _silent(ls, str(error))
    if not ls.documents.is_current(document):
        return _silent(ls, "the document has changed")
    candidates = [one for one in outcome.candidates if _may_be_shown(one, asked)]
    if not candidates:
        return _silent(ls, outcome.candidates[0].reason)
    ls.log(LogLevel.DEBUG, _summary(outcome))
    return lsp.InlineCompletionList(
        lsp_edits.inline_items(document, masked, candidates[: ls.settings.alternatives if asked else 1])
    )


def _completion_region(ls: Server, document: Snapshot, position: lsp.Position) -> Region | Silence:
    if not _is_wanted(ls, document):
        return Silence.LANGUAGE
    return completion_region(document.text, document.offset(position))


async def _complete(
    session: Session, settings: Settings, document: MaskedDocument, uri: str, asked: bool
) -> Outcome:
    options = FillOptions(
        steps=settings.steps, seed=settings.seed, alternatives=settings.alternatives if asked else 1
    )
    # Who asks gets what there is; who is typing must not be disturbed by guesses.
    gate = Gate(0.0 if asked else settings.automatic.min_confidence)
    urgency = Urgency.ASKED if asked else Urgency.AUTOMATIC
    return await session.fill(document, options, gate, f"completion {uri}", urgency)


def _may_be_shown(candidate: Candidate, asked: bool) -> bool:
    # While a line is being written, the right continuation may not parse yet: who asks sees it, behind those that do.
    return candidate.rejection is None or (asked and candidate.rejection is Rejection.UNPARSEABLE)


def _summary(outcome: Outcome) -> str:
    return (
        f"Completed in {outcome.steps} steps and {outcome.milliseconds:.0f} ms; "
        f"{outcome.encoded_tokens} of {outcome.prompt_tokens} prompt tokens encoded."
    )


def _silent(ls: Server, reason: str) -> lsp.InlineCompletionList:
    ls.log(LogLevel.DEBUG, f"No completion: {reason}")
    return lsp.InlineCompletionList([])


def _is_wanted(ls: Server, document: Snapshot) -> bool:
    """Whether the user wants anything in this language: in one that the model never saw it would only disturb."""
    return syntax.is_one_of(_language(document), ls.settings.languages)


def _language(document: Snapshot) -> str | None:
    known = syntax.find(document.language, document.path or document.uri)
    return known.name if known else document.language


# Code actions


async def code_actions(ls: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    document = ls.documents.get(params.text_document.uri)
    if document is None or ls.session is None or not _wants_rewrites(params.context.only):
        return []
    if not lsp_edits.resolves_edits(ls.client_capabilities):
        return []
    if not _is_wanted(ls, document):
        return []
    selected = document.region(params.range)
    # Of a long document much may have to be parsed.
    actions = await asyncio.to_thread(offered, document.text, _language(document), selected)
    return [lsp_edits.code_action(document, selected, action) for action in actions]


def _wants_rewrites(only: Any) -> bool:
    kind = lsp.CodeActionKind.RefactorRewrite.value
    return only is None or any(f"{kind}.".startswith(f"{getattr(one, 'value', one)}.") for one in only)


async def resolve_code_action(ls: Server, action: lsp.CodeAction) -> lsp.CodeAction:
    document, offer = _taken_up(ls, action)
    wanted = await asyncio.to_thread(frames, offer.action, document.text, _language(document), offer.selected)
    texts = await _written(ls, document, offer.action, wanted)
    # An edit of text that is no longer there could cost the user what they typed.
    if not ls.documents.is_current(document):
        raise _failure(STALE)
    action.edit = lsp_edits.workspace_edit(document, wanted, texts, ls.client_capabilities)
    return action


def _taken_up(ls: Server, action: lsp.CodeAction) -> tuple[Snapshot, Offer]:
    try:
        offer = Offer.from_data(action.data)
    except ValueError as error:
        raise _failure(str(error)) from error
    document = ls.documents.get(offer.uri)
    if document is None or document.version != offer.version:
        raise _failure(STALE)
    return document, offer


async def _written(
    ls: Server, document: Snapshot, action: Action, wanted: tuple[Frame, ...]
) -> tuple[str, ...]:
    if ls.session is None:
        raise _failure("The server is turned off by its setting enable.")
    settings = ls.settings
    # Only of what the user has selected anything may be worth keeping.
    strength = settings.rewrite.strength if action is Action.REWRITE else 1.0
    options = FillOptions(settings.steps, settings.seed, strength, settings.alternatives)
    text, regions = framed(document.text, wanted)
    try:
        masked = MaskedDocument(text, regions, document.path, document.language)
        outcome = await ls.session.fill(masked, options, Gate(), f"rewrite {document.uri}")
    except RegionError as error:
        raise _failure(str(error)) from error
    except Superseded as error:
        raise _failure("Another rewrite of this document was asked for.") from error
    except EngineError as error:
        raise _failure(str(error)) from error
    if outcome.best is None:
        raise _failure(f"Nothing better was found. {outcome.candidates[0].reason}")
    return outcome.best.texts


def _failure(message: str) -> JsonRpcException:
    """An error that the editor shows to the user."""
    return JsonRpcException(message, lsp.LSPErrorCodes.RequestFailed.value)


def _is_unexpected(record: logging.LogRecord) -> bool:
    """Keeps pygls from writing the traces of errors to stderr that are answers."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, JsonRpcException) and error.code == lsp.LSPErrorCodes.RequestFailed.value)
