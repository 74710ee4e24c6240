"""Asks the model what may come next at a cursor, with everything that the model may see of other documents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

from dgemma_lsp.engines.base import EngineError
from dgemma_lsp.fill.context import Context
from dgemma_lsp.fill.pipeline import Candidate, Gate, Outcome
from dgemma_lsp.fill.rejection import Rejection
from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.scope import Scope
from dgemma_lsp.lsp.session import Job, RequestKey, Session, Superseded, Urgency
from dgemma_lsp.lsp.session_holder import SessionHolder
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.lsp.status import Reason, Status, failed, silent
from dgemma_lsp.lsp.suggestions import Suggestion
from dgemma_lsp.lsp.teller import Teller
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.settings.settings import LogLevel
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_lsp.text.regions.selection import Silence, completion_region
from dgemma_model.protocol import ContextPiece, FillOptions

MOST_TABS = 8
"""How many other documents are looked at: those that were changed or opened last."""

_BETWEEN_CELLS = "\n\n"


@dataclass(frozen=True, slots=True)
class Wish:
    """A completion that may be wanted.

    Attributes:
        uri: the document, as it was opened.
        text: the document's text, perhaps as it will be.
        cursor: a character offset in ``text``.
    """

    uri: str
    text: str
    cursor: int


class Completer:
    """Asks the model for completions.

    Args:
        documents: the open documents, which the model may copy from.
        sessions: where the model is.
        preferences: where the settings come from.
        scope: which documents the model may see.
        teller: tells what went wrong, and how long it took.
    """

    def __init__(
        self,
        documents: Documents,
        sessions: SessionHolder,
        preferences: Preferences,
        scope: Scope,
        teller: Teller,
    ) -> None:
        self._documents = documents
        self._sessions = sessions
        self._preferences = preferences
        self._scope = scope
        self._teller = teller
        self._context = Context()

    async def complete(self, document: Snapshot, wish: Wish, urgency: Urgency) -> Suggestion | Status:
        """Return what the model suggests, or why it suggests nothing."""
        session = self._sessions.session
        if session is None:
            return silent(Reason.TURNED_OFF)
        region = completion_region(wish.text, wish.cursor)
        if isinstance(region, Silence):
            return silent(region)
        try:
            outcome = await self._fill(session, document, wish, region, urgency)
        except Superseded:
            return silent(Reason.NEWER)
        except EngineError as error:
            self._teller.alarm(str(error))
            return failed(error)
        asked = urgency is Urgency.ASKED
        candidates = [candidate for candidate in outcome.candidates if _may_be_shown(candidate, asked)]
        if not candidates:
            return silent(outcome.candidates[0].reason)
        texts = dict.fromkeys(text for candidate in candidates for text in candidate.texts)
        self._teller.log(LogLevel.DEBUG, _summary(outcome), source=f"The texts are {list(texts)}.")
        return Suggestion(wish.text, region.start, tuple(texts), asked)

    async def _fill(
        self, session: Session, document: Snapshot, wish: Wish, region: Region, urgency: Urgency
    ) -> Outcome:
        settings, asked = self._preferences.of(document.path), urgency is Urgency.ASKED
        options = FillOptions(
            steps=settings.steps,
            seed=settings.seed,
            alternatives=settings.alternatives if asked else 1,
        )
        # Who asks gets what there is. Who is typing must not be disturbed by guesses.
        gate = Gate(0.0 if asked else settings.automatic.min_confidence)
        masked = replace(
            self._in_its_notebook(document, wish.text, region), context=self._elsewhere(document, wish)
        )
        return await session.fill(masked, options, gate, RequestKey(Job.COMPLETION, document.uri), urgency)

    def _in_its_notebook(self, document: Snapshot, text: str, region: Region) -> MaskedDocument:
        """Return the masked document; that of a cell has the cells around it."""
        before, behind = (
            [cell.text for cell in cells if not self._scope.reason_against(cell)]
            for cells in self._documents.around(document.uri)
        )
        head = "".join(cell + _BETWEEN_CELLS for cell in before)
        tail = "".join(_BETWEEN_CELLS + cell for cell in behind)
        shifted = region.shifted(len(head))
        return MaskedDocument(head + text + tail, (shifted,), document.path, document.language)

    def _elsewhere(self, document: Snapshot, wish: Wish) -> tuple[ContextPiece, ...]:
        """Return pieces of other open documents that may be of use; nothing of those that are left alone."""
        if not self._preferences.of(document.path).context:
            return ()
        others = (
            other
            for other in self._documents
            if other.uri != document.uri
            and other.language == document.language
            and not self._scope.reason_against(other)
        )
        texts = [other.lf_text for other in islice(others, MOST_TABS)]
        return tuple(map(ContextPiece, self._context.gather(wish.text, wish.cursor, texts)))


def _may_be_shown(candidate: Candidate, asked: bool) -> bool:
    # While a line is being written, even the right continuation may not parse yet. Who asks sees it behind the others.
    return candidate.rejection is None or (asked and candidate.rejection is Rejection.UNPARSEABLE)


def _summary(outcome: Outcome) -> str:
    return (
        f"Completed in {outcome.steps} steps and {outcome.milliseconds:.0f} ms; "
        f"{outcome.encoded_tokens} of {outcome.prompt_tokens} prompt tokens encoded."
    )
