"""Computes the edit of a code action that the user has chosen.

Meanwhile the user may type elsewhere: the regions are followed from edit to edit. Only if the text in one of them has
changed, the edit is dropped, and that is the reason given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lsprotocol.types import CodeAction

from dgemma_lsp.engines.base import EngineError
from dgemma_lsp.fill.pipeline import Candidate, Gate, Outcome
from dgemma_lsp.lsp import to_lsp
from dgemma_lsp.lsp.capabilities import AskCapabilities
from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.drafts import DraftStream, SendProgress, draft_token
from dgemma_lsp.lsp.failures import TURNED_OFF, failure
from dgemma_lsp.lsp.offers import Offer, instruction_of
from dgemma_lsp.lsp.progress import Bars
from dgemma_lsp.lsp.scope import Scope
from dgemma_lsp.lsp.session import Job, RequestKey, Session, Superseded
from dgemma_lsp.lsp.session_holder import SessionHolder
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.lsp.status import READY, failed, silent
from dgemma_lsp.lsp.teller import Teller
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.settings.settings import Settings
from dgemma_lsp.text.masked import MaskedDocument, Region, RegionError
from dgemma_lsp.text.regions.actions import Action, frames
from dgemma_lsp.text.regions.frame import Frame, framed
from dgemma_lsp.text.source_code import SourceCode
from dgemma_model.protocol import Draft, FillOptions

STALE = "The document has changed since the action was offered; select the text and try again."
CHANGED = "The text that the edit belongs to has changed, so the edit was dropped; try again."
NO_INSTRUCTIONS = "This model does not follow instructions; it was trained to fill in what is missing."

NO_INSTRUCTION = "There is no instruction; the editor's plugin for dgemma asks for one."

GENTLE = 0.3
"""The strength of a gentle rewrite."""

STRENGTHS: Mapping[Action, float] = MappingProxyType(
    {Action.REWRITE_GENTLY: GENTLE, Action.REWRITE_ANEW: 1.0}
)
"""The strengths of rewrites, apart from the one that a setting chooses."""


@dataclass(frozen=True, slots=True)
class _Rewrite:
    """A rewrite that the user has chosen.

    Attributes:
        document: the version of the document that it is computed for.
        action: what the user has chosen.
        frames: what is to be filled.
        instruction: what the user wants, in their own words, if they were asked.
        stream: where the drafts go.
    """

    document: Snapshot
    action: Action
    frames: tuple[Frame, ...]
    instruction: str | None
    stream: DraftStream

    def masked(self, markers: tuple[str, ...]) -> MaskedDocument:
        """Return the document with the frames in place.

        Raises:
            RegionError: there is nothing to fill.
        """
        text, regions = framed(self.document.text, self.frames)
        path, language = self.document.path, self.document.language
        return MaskedDocument(text, regions, path, language, self.instruction, markers)


class Rewriter:
    """Computes the edits of code actions.

    Args:
        documents: the open documents.
        sessions: where the model is.
        preferences: where the settings come from.
        scope: which documents the server works in.
        capabilities: returns what the editor can do.
        bars: show how far a long fill is.
        send: sends the drafts to the editor.
        teller: tells what has become of a fill.
    """

    def __init__(
        self,
        documents: Documents,
        sessions: SessionHolder,
        preferences: Preferences,
        scope: Scope,
        capabilities: AskCapabilities,
        bars: Bars,
        send: SendProgress,
        teller: Teller,
    ) -> None:
        self._documents = documents
        self._sessions = sessions
        self._preferences = preferences
        self._scope = scope
        self._capabilities = capabilities
        self._bars = bars
        self._send = send
        self._teller = teller

    async def resolve(self, action: CodeAction) -> CodeAction:
        """Answer ``codeAction/resolve``.

        Raises:
            JsonRpcException: there is no edit; the message says why.
        """
        rewrite = await self._chosen(action)
        best = await self._written(rewrite)
        now, moved = self._where_now(rewrite)
        action.edit = to_lsp.workspace_edit(
            now, moved, best.texts, self._capabilities(), rewrite.action.value, f"{best.confidence:.0%} sure"
        )
        return action

    async def _chosen(self, action: CodeAction) -> _Rewrite:
        """Find out what the user has chosen, in the newest version of the document."""
        try:
            offer = Offer.from_data(action.data)
        except ValueError as error:
            raise failure(str(error)) from error
        instruction = self._instruction(offer, action)
        document, selected = self._present(offer)
        code = SourceCode(document.text, document.language, self._preferences.of(document.path).markers)
        # An instruction is about the selection, as every other rewrite is.
        wanted = Action.REWRITE if offer.action is Action.INSTRUCT else offer.action
        found = await asyncio.to_thread(frames, wanted, code, selected)
        if not found and offer.version != document.version:
            raise failure(CHANGED)  # when it was offered, there was something to fill
        stream = DraftStream(
            self._send, draft_token(action.data), [document.range(frame.region) for frame in found]
        )
        return _Rewrite(document, offer.action, found, instruction, stream)

    def _instruction(self, offer: Offer, action: CodeAction) -> str | None:
        if offer.action is not Action.INSTRUCT:
            return None
        session = self._sessions.session
        if session is None or not session.capabilities.follows_instructions:
            raise failure(NO_INSTRUCTIONS)
        if instruction := instruction_of(action.data):
            return instruction
        raise failure(NO_INSTRUCTION)

    def _present(self, offer: Offer) -> tuple[Snapshot, Region]:
        """Return the newest version of the document, and the selection in it."""
        document = self._documents.get(offer.uri)
        selected = self._documents.moved(offer.uri, offer.version, offer.selected)
        if document is None or selected is None:
            raise failure(STALE)
        if reason := self._scope.reason_against(document):
            raise failure(f"Nothing is changed in this document: {reason.value}.")
        return document, selected

    async def _written(self, rewrite: _Rewrite) -> Candidate:
        """Return the best fill.

        Raises:
            JsonRpcException: there is none; the message says why.
        """
        session = self._sessions.session
        if session is None:
            raise failure(TURNED_OFF)
        settings = self._preferences.of(rewrite.document.path)
        try:
            masked = rewrite.masked(settings.markers)
            with self._teller.filling():
                outcome = await self._fill(session, rewrite, masked, settings)
        except RegionError as error:
            raise failure(str(error)) from error
        except Superseded as error:
            raise failure("A newer rewrite of this document has been requested.") from error
        except EngineError as error:
            self._teller.tell(failed(error))
            raise failure(str(error)) from error
        if outcome.best is None:
            reason = outcome.candidates[0].reason
            self._teller.tell(silent(reason))
            raise failure(f"Nothing better was found. {reason}")
        self._teller.tell(READY)
        return outcome.best

    async def _fill(
        self, session: Session, rewrite: _Rewrite, masked: MaskedDocument, settings: Settings
    ) -> Outcome:
        options = FillOptions(
            settings.steps, settings.seed, _strength(rewrite.action, settings), settings.alternatives
        )
        bar = self._bars.bar(f"dgemma: {rewrite.action.value}", settings.steps)

        def show(draft: Draft) -> None:
            rewrite.stream.show(draft)
            sure = min(fill.confidence for fill in draft.alternatives[0])
            bar.report(draft.step, f"step {draft.step}, {sure:.0%} sure")

        key = RequestKey(Job.REWRITE, rewrite.document.uri)
        return await bar.run(session.fill(masked, options, Gate(), key, on_draft=show))

    def _where_now(self, rewrite: _Rewrite) -> tuple[Snapshot, list[Frame]]:
        """Return the newest version of the document, and the frames in it.

        Raises:
            JsonRpcException: the text in one of the regions has changed.
        """
        before = rewrite.document
        now = self._documents.get(before.uri)
        moved: list[Frame] = []
        for frame in rewrite.frames:
            region = self._documents.moved(before.uri, before.version, frame.region)
            # A document that was closed and opened again may count its versions from the start.
            if now is None or region is None or region.of(now.text) != frame.region.of(before.text):
                raise failure(CHANGED)
            moved.append(Frame(region, frame.before, frame.after))
        assert now is not None, "there is at least one region"
        return now, moved


def _strength(action: Action, settings: Settings) -> float:
    """Return how much of the present text is forgotten. Only what the user has selected may be worth keeping."""
    if action in (Action.REWRITE, Action.INSTRUCT):
        return settings.rewrite.strength
    return STRENGTHS.get(action, 1.0)
