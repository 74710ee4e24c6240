"""A server that claims to follow instructions: it answers every one with its own words.

None of our engines follows instructions yet, but the editors ask for them and send them; this serves their tests.
"""

from __future__ import annotations

import sys
from typing import Any

from lsprotocol import types as lsp

from dgemma_lsp.cli.main import main
from dgemma_lsp.lsp import actions, to_lsp
from dgemma_lsp.lsp.documents import Snapshot
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.actions import Action

offer_rewrites, resolve = actions._rewrites, actions.resolve_code_action


async def offer_instructions(ls: Any, document: Snapshot, selected: Region) -> list[lsp.CodeAction]:
    """Offer the instruction that is otherwise offered as disabled."""
    found = [action for action in await offer_rewrites(ls, document, selected) if action.disabled is None]
    return [*found, to_lsp.code_action(document, selected, Action.INSTRUCT)]


async def obey(ls: Any, action: lsp.CodeAction) -> lsp.CodeAction:
    """Rewrite with the instruction as the new text."""
    data: Any = action.data
    instruction = data.get("instruction")
    action.data = {**data, "action": "REWRITE"} if data["action"] == "INSTRUCT" else data
    resolved = await resolve(ls, action)
    if instruction is not None:
        assert resolved.edit
        for change in resolved.edit.document_changes or []:
            assert isinstance(change, lsp.TextDocumentEdit)
            for edit in change.edits:
                assert not isinstance(edit, lsp.SnippetTextEdit)
                edit.new_text = instruction
    return resolved


if __name__ == "__main__":
    actions._rewrites, actions.resolve_code_action = offer_instructions, obey
    sys.exit(main())
