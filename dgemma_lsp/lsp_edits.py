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

REWRITE = "Rewrite selection"


@dataclass(frozen=True, slots=True)
class RewriteOffer:
    """What a lazy "Rewrite selection" must remember until it is wanted."""

    uri: str
    version: int
    region: Region

    @classmethod
    def from_data(cls, data: Any) -> RewriteOffer:
        """From a code action's data; `ValueError` when this is not data of ours."""
        try:
            return cls(data["uri"], data["version"], Region(data["start"], data["end"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("The code action does not come from this server.") from error

    def to_data(self) -> dict[str, Any]:
        return {
            "uri": self.uri,
            "version": self.version,
            "start": self.region.start,
            "end": self.region.end,
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


def rewrite_action(document: Snapshot, region: Region) -> CodeAction:
    """The offer to rewrite a region; the edit is computed when the user takes it up."""
    offer = RewriteOffer(document.uri, document.version, region)
    return CodeAction(title=REWRITE, kind=CodeActionKind.RefactorRewrite, data=offer.to_data())


def resolves_edits(capabilities: ClientCapabilities) -> bool:
    """Whether the editor can ask for the edit of a code action later."""
    text_document = capabilities.text_document
    code_action = text_document.code_action if text_document else None
    support = code_action.resolve_support if code_action else None
    return support is not None and "edit" in support.properties


def workspace_edit(
    document: Snapshot, masked: MaskedDocument, texts: Sequence[str], capabilities: ClientCapabilities
) -> WorkspaceEdit:
    """The edit that puts the texts into the regions; bound to the document's version where the editor checks it.

    Raises:
        GuaranteeBroken: it would change text outside the regions.
    """
    apply_fills(masked, texts)
    edits = [
        TextEdit(document.range(region), text) for region, text in zip(masked.regions, texts, strict=True)
    ]
    if not _checks_versions(capabilities):
        return WorkspaceEdit(changes={document.uri: edits})
    identifier = OptionalVersionedTextDocumentIdentifier(uri=document.uri, version=document.version)
    return WorkspaceEdit(document_changes=[TextDocumentEdit(identifier, edits)])


def _checks_versions(capabilities: ClientCapabilities) -> bool:
    workspace = capabilities.workspace
    edit = workspace.workspace_edit if workspace else None
    return bool(edit and edit.document_changes)
