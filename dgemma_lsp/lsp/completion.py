"""Inline completion: what may come next at the cursor, while the user types and when they ask for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from lsprotocol.types import InlineCompletionList, InlineCompletionParams, InlineCompletionTriggerKind

from dgemma_lsp.lsp import to_lsp
from dgemma_lsp.lsp.acceptance import Acceptance
from dgemma_lsp.lsp.completer import Completer, Wish
from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.editor_state import EditorState
from dgemma_lsp.lsp.scope import Scope
from dgemma_lsp.lsp.session import Urgency
from dgemma_lsp.lsp.session_holder import SessionHolder
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.lsp.spot import Spot
from dgemma_lsp.lsp.status import READY, Reason, State, Status, silent
from dgemma_lsp.lsp.suggestions import Rest, Suggestions
from dgemma_lsp.lsp.teller import Teller
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.settings.settings import LogLevel

_Answer = list[Rest] | Status
"""What may be shown, the best first, or why nothing is."""


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A completion that nobody has asked for yet.

    Attributes:
        wish: what may be asked for.
        answer: being computed, or done.
    """

    wish: Wish
    answer: asyncio.Task[_Answer]


class Completions:
    """Answers requests for completions from what was suggested before, from what was computed ahead, or by the model.

    Args:
        documents: the open documents.
        sessions: tells whether the server is turned on.
        preferences: where the settings come from.
        scope: which documents the server works in.
        editor_state: where a completion would be in the way.
        completer: asks the model.
        acceptance: counts what becomes of completions.
        teller: tells why nothing is shown.
    """

    def __init__(
        self,
        documents: Documents,
        sessions: SessionHolder,
        preferences: Preferences,
        scope: Scope,
        editor_state: EditorState,
        completer: Completer,
        acceptance: Acceptance,
        teller: Teller,
    ) -> None:
        self._documents = documents
        self._sessions = sessions
        self._preferences = preferences
        self._scope = scope
        self._editor_state = editor_state
        self._completer = completer
        self._acceptance = acceptance
        self._teller = teller
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was suggested with settings that no longer hold."""
        self._suggestions = Suggestions()
        self._ahead: _Ahead | None = None

    async def inline_completion(self, params: InlineCompletionParams) -> InlineCompletionList:
        """Answer ``textDocument/inlineCompletion``."""
        document = self._documents.get(params.text_document.uri)
        if document is None:
            return self._nothing(silent(Reason.NOT_OPEN))
        if self._sessions.session is None:
            return self._nothing(silent(Reason.TURNED_OFF))
        asked = params.context.trigger_kind is InlineCompletionTriggerKind.Invoked
        reason = self._scope.reason_against(document) or self._editor_state.reason_against(document, asked)
        if reason is not None:
            return self._nothing(silent(reason))
        spot = Spot.of(document, params.position, params.context.selected_completion_info)
        answer = await self._answer(document, spot, asked)
        if isinstance(answer, Status):
            return self._nothing(answer)
        if not self._documents.is_current(document):
            return self._nothing(silent(Reason.CHANGED))
        self._teller.tell(READY)
        return InlineCompletionList(to_lsp.inline_items(spot, self._shown(document, answer, asked)))

    async def accepted(self, uri: str, number: int, choice: int) -> None:
        """Note that the user has accepted an item, and find out what may come next while they look at it."""
        document = self._documents.get(uri)
        result = self._suggestions.result(uri, number, choice)
        if document is None or result is None:
            return
        text, cursor = result
        self._acceptance.count_accepted(document, self._suggestions.text(uri, number, choice), cursor)
        if self._scope.reason_against(document):
            return
        # The document may not have changed yet: some editors first say that the item was accepted.
        wish = Wish(document.uri, text, cursor)
        if not self._suggestions.rests(wish.uri, wish.text, wish.cursor, asked=False):
            self._ahead = _Ahead(wish, asyncio.create_task(self._look_ahead(document, wish)))

    def forget(self, document: Snapshot) -> None:
        """Forget a document that is being closed."""
        self._suggestions.forget(document.uri)

    async def _answer(self, document: Snapshot, spot: Spot, asked: bool) -> _Answer:
        if known := self._suggestions.rests(document.uri, spot.text, spot.cursor, asked):
            return known
        wish = Wish(document.uri, spot.text, spot.cursor)
        with self._teller.filling():
            if self._ahead is not None and self._ahead.wish == wish and not asked:
                return await asyncio.shield(self._ahead.answer)
            return await self._suggest(document, wish, Urgency.ASKED if asked else Urgency.AUTOMATIC)

    async def _suggest(self, document: Snapshot, wish: Wish, urgency: Urgency) -> _Answer:
        """Ask the model and remember what it suggests."""
        # The settings may change in the meantime. Then nobody will ask these suggestions any more.
        suggestions = self._suggestions
        suggestion = await self._completer.complete(document, wish, urgency)
        if isinstance(suggestion, Status):
            return suggestion
        return suggestions.remember(document.uri, suggestion)

    async def _look_ahead(self, document: Snapshot, wish: Wish) -> _Answer:
        answer = await self._suggest(document, wish, Urgency.AHEAD)
        # It is worth knowing that the model has nothing to say, but not that it could not be asked.
        was_not_asked = isinstance(answer, Status) and (
            answer.state is State.ERROR or answer == silent(Reason.NEWER)
        )
        if was_not_asked and self._ahead is not None and self._ahead.wish is wish:
            self._ahead = None
        return answer

    def _shown(self, document: Snapshot, rests: list[Rest], asked: bool) -> list[Rest]:
        """Return those that are shown. Who is typing is shown the best one."""
        shown = rests[: self._preferences.of(document.path).alternatives if asked else 1]
        if shown and self._suggestions.is_new(shown[0].number):
            self._acceptance.count_shown(shown[0].text)
        return shown

    def _nothing(self, why: Status) -> InlineCompletionList:
        self._teller.log(LogLevel.DEBUG, f"No completion: {why.message}")
        self._teller.tell(why)
        return InlineCompletionList([])
