"""Code actions: what is offered at a cursor or for a selection. The edit is computed when the user chooses one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from enum import Enum

from lsprotocol.types import CodeAction, CodeActionKind, CodeActionParams

from dgemma_lsp.lsp import to_lsp
from dgemma_lsp.lsp.capabilities import AskCapabilities, resolves_edits, shows_disabled_actions
from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.names import ActionKind
from dgemma_lsp.lsp.proofreading import Proofreader
from dgemma_lsp.lsp.rewriting import NO_INSTRUCTIONS
from dgemma_lsp.lsp.scope import Scope
from dgemma_lsp.lsp.session_holder import SessionHolder
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.lsp.status import silent
from dgemma_lsp.lsp.teller import Teller
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.settings.settings import LogLevel
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.actions import Action, offered
from dgemma_lsp.text.source_code import SourceCode
from dgemma_model.protocol import Capabilities


class Actions:
    """Offers code actions.

    Args:
        documents: the open documents.
        sessions: tells whether the server is turned on.
        preferences: where the settings come from.
        scope: which documents the server works in.
        proofreader: offers the quick fixes of its hints.
        capabilities: returns what the editor can do.
        teller: tells why nothing is offered.
    """

    def __init__(
        self,
        documents: Documents,
        sessions: SessionHolder,
        preferences: Preferences,
        scope: Scope,
        proofreader: Proofreader,
        capabilities: AskCapabilities,
        teller: Teller,
    ) -> None:
        self._documents = documents
        self._sessions = sessions
        self._preferences = preferences
        self._scope = scope
        self._proofreader = proofreader
        self._capabilities = capabilities
        self._teller = teller

    async def code_actions(self, params: CodeActionParams) -> list[CodeAction]:
        """Answer ``textDocument/codeAction``."""
        document, session = self._documents.get(params.text_document.uri), self._sessions.session
        if document is None or session is None:
            return []
        if reason := self._scope.reason_against(document):
            self._teller.log(LogLevel.DEBUG, f"No code actions: {reason.value}")
            self._teller.tell(silent(reason))
            return []
        selected, only = document.region(params.range), params.context.only
        actions = []
        if _wants(only, CodeActionKind.QuickFix):
            actions += self._proofreader.quick_fixes(document, selected)
        if _wants(only, CodeActionKind.RefactorRewrite):
            actions += await self._rewrites(document, selected, session.capabilities)
        # This one takes long and would be out of place in a menu of rewrites.
        if session.capabilities.proofreads and only is not None and _wants(only, ActionKind.PROOFREAD):
            actions.append(to_lsp.proofread_action(document))
        return actions

    async def _rewrites(self, document: Snapshot, selected: Region, model: Capabilities) -> list[CodeAction]:
        if not resolves_edits(self._capabilities()):
            return []
        code = SourceCode(document.text, document.language, self._preferences.of(document.path).markers)
        # Much of a long document may have to be parsed.
        actions = await asyncio.to_thread(offered, code, selected)
        rewrites = [to_lsp.code_action(document, selected, action) for action in actions]
        if Action.REWRITE in actions:
            rewrites += self._instruction(document, selected, model)
        return rewrites

    def _instruction(self, document: Snapshot, selected: Region, model: Capabilities) -> Iterator[CodeAction]:
        if model.follows_instructions:
            yield to_lsp.code_action(document, selected, Action.INSTRUCT)
        elif shows_disabled_actions(self._capabilities()):
            yield to_lsp.disabled_action(Action.INSTRUCT, NO_INSTRUCTIONS)


def _wants(only: Iterable[CodeActionKind | str] | None, kind: CodeActionKind | ActionKind) -> bool:
    """Whether the editor wants actions of a kind, or of a kind that contains it."""
    return only is None or any(f"{kind.value}.".startswith(f"{_name(wanted)}.") for wanted in only)


def _name(kind: CodeActionKind | str) -> str:
    return str(kind.value) if isinstance(kind, Enum) else kind
