"""Fills → what the protocol calls them: inline completion items, code actions, workspace edits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lsprotocol.types import (
    ClientCapabilities,
    CodeAction,
    CodeActionKind,
    InlineCompletionItem,
    OptionalVersionedTextDocumentIdentifier,
    TextDocumentEdit,
    TextEdit,
    WorkspaceEdit,
)

from dgemma_lsp.documents import Snapshot
from dgemma_lsp.edits import apply_fills
from dgemma_lsp.masked import MaskedDocument, Region
from dgemma_lsp.pipeline import Candidate
from dgemma_lsp.regions import Action, Frame


@dataclass(frozen=True, slots=True)
class Offer:
    """What a lazy code action must remember until it is wanted.

    Attributes:
        uri: of the document.
        version: of the document; in any other the selection may mean something else.
        selected: where the user was.
        action: what was offered there.
    """

    uri: str
    version: int
    selected: Region
    action: Action

    @classmethod
    def from_data(cls, data: Any) -> Offer:
        """From a code action's data; `ValueError` when this is not data of ours."""
        try:
            selected = Region(data["start"], data["end"])
            return cls(data["uri"], data["version"], selected, Action[data["action"]])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("The code action does not come from this server.") from error

    def to_data(self) -> dict[str, Any]:
        return {
            "uri": self.uri,
            "version": self.version,
            "start": self.selected.start,
            "end": self.selected.end,
            "action": self.action.name,
        }


def inline_items(
    document: Snapshot, masked: MaskedDocument, candidates: Iterable[Candidate]
) -> list[InlineCompletionItem]:
    """An item for each candidate, in their order, each with its range: editors guess differently without one.

    Args:
        document: where the items are shown.
        masked: the same document, with one region.
        candidates: of which repetitions are left out.

    Raises:
        GuaranteeBroken: an item would change text outside the region.
    """
    (region,) = masked.regions
    replaced = document.range(region)
    fills = dict.fromkeys(candidate.texts for candidate in candidates)
    for texts in fills:
        apply_fills(masked, texts)
    return [InlineCompletionItem(insert_text=text, range=replaced) for (text,) in fills]


def code_action(document: Snapshot, selected: Region, action: Action) -> CodeAction:
    """The offer to do something; the edit is computed when the user takes it up."""
    offer = Offer(document.uri, document.version, selected, action)
    return CodeAction(title=action.value, kind=CodeActionKind.RefactorRewrite, data=offer.to_data())


def resolves_edits(capabilities: ClientCapabilities) -> bool:
    """Whether the editor can ask for the edit of a code action later."""
    text_document = capabilities.text_document
    code_action = text_document.code_action if text_document else None
    support = code_action.resolve_support if code_action else None
    return support is not None and "edit" in support.properties


def workspace_edit(
    document: Snapshot, frames: Sequence[Frame], texts: Sequence[str], capabilities: ClientCapabilities
) -> WorkspaceEdit:
    """The edit that puts the texts and their frames into the regions, in one step that can be undone.

    It is bound to the document's version where the editor checks it.

    Raises:
        GuaranteeBroken: it would change text outside the regions.
    """
    regions = tuple(frame.region for frame in frames)
    texts = [frame.before + text + frame.after for frame, text in zip(frames, texts, strict=True)]
    apply_fills(MaskedDocument(document.text, regions), texts)
    edits = [TextEdit(document.range(region), text) for region, text in zip(regions, texts, strict=True)]
    if not _checks_versions(capabilities):
        return WorkspaceEdit(changes={document.uri: edits})
    identifier = OptionalVersionedTextDocumentIdentifier(uri=document.uri, version=document.version)
    return WorkspaceEdit(document_changes=[TextDocumentEdit(identifier, edits)])


def _checks_versions(capabilities: ClientCapabilities) -> bool:
    workspace = capabilities.workspace
    edit = workspace.workspace_edit if workspace else None
    return bool(edit and edit.document_changes)
