"""The language server: handlers between the protocol and everything else.

Each handler turns protocol types into ours, asks `regions` and `session`, and turns the answer back. Nothing here
blocks: the model works in another process, and a request is given up at the moment its cancellation arrives.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from dgemma_lsp import __version__, lsp_edits, syntax
from dgemma_lsp.documents import Documents, Snapshot
from dgemma_lsp.engines.base import Engine, EngineError, FillOptions
from dgemma_lsp.exclusion import Exclusions
from dgemma_lsp.greeting import NAME
from dgemma_lsp.lsp_edits import ACCEPTED, Offer, Spot
from dgemma_lsp.masked import MaskedDocument, RegionError
from dgemma_lsp.pipeline import Candidate, Gate, Outcome
from dgemma_lsp.polish import Rejection
from dgemma_lsp.preferences import PROJECT_FILE, Preferences
from dgemma_lsp.regions import Action, Frame, Silence, completion_region, framed, frames, offered
from dgemma_lsp.session import Session, Superseded, Urgency
from dgemma_lsp.settings import LogLevel, Place, Settings
from dgemma_lsp.status import Reason, State, Status, silent
from dgemma_lsp.suggestions import Rest, Suggestion, Suggestions

SECTION = "dgemma"
"""Of an editor's configuration."""

STATUS = "dgemma/status"
"""A notification of ours, for editors that want it: {"state": …}, with a "reason" or an "advice"."""

PARENT_POLL_SECONDS = 1.0
"""How often we look whether the editor's process still lives."""

ANSWER_SECONDS = 2.0
"""How long the editor may take to agree to a progress bar, or to tell its configuration, before we do without."""

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


class Server(LanguageServer):
    """What the handlers share.

    Attributes:
        preferences: what has been chosen so far.
        documents: the open ones.
        exclusions: documents that are left alone.
        suggestions: the last ones, as far as they were made with the present settings.
        ahead: the last thing that was computed although nobody had asked for it, or is being computed.
        session: None while the user has turned the server off.
        shows_status: the editor says that it shows what the server is doing; the setting says it too.
        shutdown_requested: the editor said good-bye in the right order.
    """

    def __init__(self, make_engine: EngineFactory, preferences: Preferences) -> None:
        super().__init__(NAME, __version__)
        self.preferences = preferences
        self.documents = Documents(lsp.PositionEncodingKind.Utf16)
        self.exclusions = Exclusions(preferences.settings.exclude)
        self.suggestions = Suggestions()
        self.ahead: tuple[Wish, asyncio.Task[_Answer]] | None = None
        self.session: Session | None = None
        self.shows_status = False
        self.shutdown_requested = False
        self._make_engine = make_engine
        self._made: tuple[object, ...] = ()
        self._shown: set[str] = set()
        self._status: Status | None = None
        self._waiting = 0
        self._watch: asyncio.Task[None] | None = None

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

    def choose(self, place: Place, options: object) -> None:
        """Take over what is said at a place; what is wrong with it is told by `tell_problems`."""
        self.preferences.choose(place, options)
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

    @property
    def has_wanted_engine(self) -> bool:
        """Whether the engine is the one that the settings name."""
        return self._made == _engine_part(self.settings)

    def open_session(self) -> None:
        """Make the engine that the settings name; the model is loaded by the first request, or by `load_model`."""
        self.session = Session(self._make_engine(self.settings)) if self.settings.enable else None
        self._made = _engine_part(self.settings)

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

    def shutdown(self) -> None:
        """Called by pygls when the transport is closed, however that came about."""
        self.close_session()
        super().shutdown()  # type: ignore[no-untyped-call]

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Called by pygls; a message that could not be handled is for the log, not for the user's screen."""
        del source
        self.log(LogLevel.ERROR, f"A message from the editor could not be handled: {error}")


def build_server(make_engine: EngineFactory, preferences: Preferences | None = None) -> Server:
    """A server that is ready to be started on a transport.

    Args:
        make_engine: called after ``initialize``, when the editor's settings are known, and when they change.
        preferences: what is chosen before the editor says anything.
    """
    server = Server(make_engine, preferences or Preferences())
    server.feature(lsp.INITIALIZE)(initialize)
    server.feature(lsp.INITIALIZED)(initialized)
    server.feature(lsp.SHUTDOWN)(shut_down)
    server.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)(did_change_configuration)
    server.feature(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(did_change_projects)
    server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)(did_change_projects)
    server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)(did_open)
    server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)(did_change)
    server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)(did_close)
    # Without options pygls would not announce it.
    server.feature(lsp.TEXT_DOCUMENT_INLINE_COMPLETION, lsp.InlineCompletionOptions())(inline_completion)
    rewrites = lsp.CodeActionOptions([lsp.CodeActionKind.RefactorRewrite], resolve_provider=True)
    server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, rewrites)(code_actions)
    server.feature(lsp.CODE_ACTION_RESOLVE)(resolve_code_action)
    server.command(ACCEPTED)(accepted)
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_unexpected)
    return server


# Life and settings


def initialize(ls: Server, params: lsp.InitializeParams) -> None:
    ls.choose(Place.OPTIONS, params.initialization_options)
    ls.look_at_projects()
    ls.documents = Documents(lsp.PositionEncodingKind(ls.workspace.position_encoding))
    ls.shows_status = lsp_edits.shows_status(params.capabilities)
    ls.open_session()
    if params.process_id:
        ls.watch_editor(params.process_id)


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
        ls.choose(Place.EDITOR, params.settings[SECTION])
        ls.tell_problems()
    else:
        await _ask_for_configuration(ls)
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


def _engine_part(settings: Settings) -> tuple[object, ...]:
    return settings.enable, settings.model, settings.device


async def _ask_for_configuration(ls: Server) -> None:
    workspace = ls.client_capabilities.workspace
    if not workspace or not workspace.configuration:
        return
    wanted = lsp.ConfigurationParams([lsp.ConfigurationItem(section=SECTION)])
    with suppress(TimeoutError, JsonRpcException):
        answer = await asyncio.wait_for(ls.workspace_configuration_async(wanted), ANSWER_SECONDS)
        ls.choose(Place.EDITOR, answer[0] if answer else None)
        ls.tell_problems()


def _register(ls: Server) -> None:
    """Ask to be told of what changes outside of documents, where the editor waits for being asked."""
    if registrations := lsp_edits.registrations(ls.client_capabilities, SECTION, PROJECT_FILE):
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
    token = await _begin_progress(ls, "dgemma: loading the model")
    try:
        info = await loading
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
    if token is not None:
        ls.work_done_progress.end(token, lsp.WorkDoneProgressEnd(message=result))


async def _begin_progress(ls: Server, title: str) -> str | None:
    window = ls.client_capabilities.window
    if not window or not window.work_done_progress:
        return None
    token = str(uuid.uuid4())
    with suppress(TimeoutError, JsonRpcException):
        await asyncio.wait_for(ls.work_done_progress.create_async(token), ANSWER_SECONDS)
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
    if document := ls.documents.get(params.text_document.uri):
        ls.suggestions.forget(document.uri)
        ls.documents.close(document.uri)


# Inline completion


async def inline_completion(ls: Server, params: lsp.InlineCompletionParams) -> lsp.InlineCompletionList:
    document = ls.documents.get(params.text_document.uri)
    if document is None or ls.session is None:
        reason = Reason.NOT_OPEN if document is None else Reason.TURNED_OFF
        return _nothing(ls, silent(reason.value))
    if unwanted := _why_unwanted(ls, document):
        return _nothing(ls, silent(unwanted))
    spot = Spot.of(document, params.position, params.context.selected_completion_info)
    asked = params.context.trigger_kind is lsp.InlineCompletionTriggerKind.Invoked
    answer = await _answer(ls, document, spot, asked)
    if isinstance(answer, Status):
        return _nothing(ls, answer)
    if not ls.documents.is_current(document):
        return _nothing(ls, silent(Reason.CHANGED.value))
    ls.tell(Status(State.READY))
    return lsp.InlineCompletionList(
        lsp_edits.inline_items(spot, answer[: ls.preferences.of(document.path).alternatives if asked else 1])
    )


_Answer = list[Rest] | Status
"""What may be shown, or why nothing is."""


async def _answer(ls: Server, document: Snapshot, spot: Spot, asked: bool) -> _Answer:
    if known := ls.suggestions.rests(document.uri, spot.text, spot.cursor, asked):
        return known
    wish = Wish(document.uri, spot.text, spot.cursor)
    with ls.filling():
        if ls.ahead is not None and ls.ahead[0] == wish and not asked:
            return await asyncio.shield(ls.ahead[1])
        return await _suggested(ls, document, wish, Urgency.ASKED if asked else Urgency.AUTOMATIC)


async def accepted(ls: Server, uri: str, number: int, choice: int) -> None:
    """The user has taken over an item: what may come next is found out while they look at it."""
    document = ls.documents.get(uri)
    result = ls.suggestions.result(uri, number, choice)
    if document is None or result is None or _why_unwanted(ls, document):
        return
    # The document need not have been changed yet: some editors say first that the item is taken over.
    wish = Wish(document.uri, *result)
    if not ls.suggestions.rests(wish.uri, wish.text, wish.cursor, asked=False):
        ls.ahead = wish, asyncio.create_task(_find_out(ls, document, wish))


async def _find_out(ls: Server, document: Snapshot, wish: Wish) -> _Answer:
    answer = await _suggested(ls, document, wish, Urgency.AHEAD)
    # That the model has nothing to say is worth knowing; that it was not or could not be asked is not.
    in_vain = isinstance(answer, Status) and (
        answer.state is State.ERROR or answer.message == Reason.NEWER.value
    )
    if in_vain and ls.ahead is not None and ls.ahead[0] is wish:
        ls.ahead = None
    return answer


async def _suggested(ls: Server, document: Snapshot, wish: Wish, urgency: Urgency) -> _Answer:
    """Ask the model, and remember what it says."""
    if ls.session is None:
        return silent(Reason.TURNED_OFF.value)
    region = completion_region(wish.text, wish.cursor)
    if isinstance(region, Silence):
        return silent(region.value)
    masked = MaskedDocument(wish.text, (region,), document.path, document.language)
    suggestions, asked = ls.suggestions, urgency is Urgency.ASKED
    try:
        outcome = await _complete(ls.session, ls.preferences.of(document.path), masked, document.uri, urgency)
    except Superseded:
        return silent(Reason.NEWER.value)
    except EngineError as error:
        ls.show_once(lsp.MessageType.Error, str(error))
        return Status(State.ERROR, str(error))
    candidates = [one for one in outcome.candidates if _may_be_shown(one, asked)]
    if not candidates:
        return silent(outcome.candidates[0].reason)
    ls.log(LogLevel.DEBUG, _summary(outcome))
    texts = dict.fromkeys(text for one in candidates for text in one.texts)
    return suggestions.remember(document.uri, Suggestion(wish.text, region.start, tuple(texts), asked))


async def _complete(
    session: Session, settings: Settings, document: MaskedDocument, uri: str, urgency: Urgency
) -> Outcome:
    asked = urgency is Urgency.ASKED
    options = FillOptions(
        steps=settings.steps, seed=settings.seed, alternatives=settings.alternatives if asked else 1
    )
    # Who asks gets what there is; who is typing must not be disturbed by guesses.
    gate = Gate(0.0 if asked else settings.automatic.min_confidence)
    return await session.fill(document, options, gate, f"completion {uri}", urgency)


def _may_be_shown(candidate: Candidate, asked: bool) -> bool:
    # While a line is being written, the right continuation may not parse yet: who asks sees it, behind those that do.
    return candidate.rejection is None or (asked and candidate.rejection is Rejection.UNPARSEABLE)


def _summary(outcome: Outcome) -> str:
    return (
        f"Completed in {outcome.steps} steps and {outcome.milliseconds:.0f} ms; "
        f"{outcome.encoded_tokens} of {outcome.prompt_tokens} prompt tokens encoded."
    )


def _nothing(ls: Server, why: Status) -> lsp.InlineCompletionList:
    ls.log(LogLevel.DEBUG, f"No completion: {why.message}")
    ls.tell(why)
    return lsp.InlineCompletionList([])


def _why_unwanted(ls: Server, document: Snapshot) -> str:
    """Why nothing is to be done in a document; "" when it may be."""
    if excluded := ls.exclusions.reason(document.uri, document.path, ls.roots):
        return excluded.value
    # In a language that the model never saw it would only disturb.
    wanted = syntax.is_one_of(_language(document), ls.preferences.of(document.path).languages)
    return "" if wanted else Silence.LANGUAGE.value


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
    if unwanted := _why_unwanted(ls, document):
        ls.log(LogLevel.DEBUG, f"No code actions: {unwanted}")
        ls.tell(silent(unwanted))
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
    if unwanted := _why_unwanted(ls, document):
        raise _failure(f"Nothing is done here: {unwanted}.")
    return document, offer


async def _written(
    ls: Server, document: Snapshot, action: Action, wanted: tuple[Frame, ...]
) -> tuple[str, ...]:
    if ls.session is None:
        raise _failure("The server is turned off by its setting enable.")
    settings = ls.preferences.of(document.path)
    # Only of what the user has selected anything may be worth keeping.
    strength = settings.rewrite.strength if action is Action.REWRITE else 1.0
    options = FillOptions(settings.steps, settings.seed, strength, settings.alternatives)
    text, regions = framed(document.text, wanted)
    try:
        masked = MaskedDocument(text, regions, document.path, document.language)
        with ls.filling():
            outcome = await ls.session.fill(masked, options, Gate(), f"rewrite {document.uri}")
    except RegionError as error:
        raise _failure(str(error)) from error
    except Superseded as error:
        raise _failure("Another rewrite of this document was asked for.") from error
    except EngineError as error:
        ls.tell(Status(State.ERROR, str(error)))
        raise _failure(str(error)) from error
    if outcome.best is None:
        ls.tell(silent(outcome.candidates[0].reason))
        raise _failure(f"Nothing better was found. {outcome.candidates[0].reason}")
    ls.tell(Status(State.READY))
    return outcome.best.texts


def _failure(message: str) -> JsonRpcException:
    """An error that the editor shows to the user."""
    return JsonRpcException(message, lsp.LSPErrorCodes.RequestFailed.value)


def _is_unexpected(record: logging.LogRecord) -> bool:
    """Keeps pygls from writing the traces of errors to stderr that are answers."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, JsonRpcException) and error.code == lsp.LSPErrorCodes.RequestFailed.value)
