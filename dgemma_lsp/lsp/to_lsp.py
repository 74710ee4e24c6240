"""From fills and hints to what the protocol calls them: completion items, code actions, diagnostics and edits."""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol.types import (
    AnnotatedTextEdit,
    ChangeAnnotation,
    ClientCapabilities,
    CodeAction,
    CodeActionDisabled,
    CodeActionKind,
    Command,
    Diagnostic,
    DiagnosticSeverity,
    InlineCompletionItem,
    OptionalVersionedTextDocumentIdentifier,
    TextDocumentEdit,
    TextEdit,
    WorkspaceEdit,
)

from dgemma_lsp.lsp.capabilities import checks_versions, shows_annotations
from dgemma_lsp.lsp.hints import PlacedHint
from dgemma_lsp.lsp.names import SECTION, ActionKind, CommandName
from dgemma_lsp.lsp.offers import Offer
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.lsp.spot import Spot
from dgemma_lsp.lsp.suggestions import Rest
from dgemma_lsp.text.guarantee import apply_fills
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_lsp.text.regions.actions import Action
from dgemma_lsp.text.regions.frame import Frame

_ANNOTATION = "dgemma"


def inline_items(spot: Spot, rests: Sequence[Rest]) -> list[InlineCompletionItem]:
    """Make an item of each text, in order, each with its range: without one, editors guess differently.

    Raises:
        GuaranteeBroken: an item would change text outside of what it replaces.
    """
    masked = MaskedDocument(spot.document.text, (spot.replaced,))
    for rest in rests:
        apply_fills(masked, [spot.chosen + rest.text])
    return [_inline_item(spot, rest) for rest in rests]


def _inline_item(spot: Spot, rest: Rest) -> InlineCompletionItem:
    text = spot.chosen + rest.text
    replaced = spot.replaced.of(spot.document.text)
    arguments = [spot.document.uri, rest.number, rest.choice]
    return InlineCompletionItem(
        insert_text=text,
        # Editors hide an item whose text does not begin with what it replaces, but their lists match more freely.
        filter_text=None if text.startswith(replaced) else replaced,
        range=spot.document.range(spot.replaced),
        command=Command(title="Accepted", command=CommandName.ACCEPTED, arguments=arguments),
    )


def code_action(document: Snapshot, selected: Region, action: Action) -> CodeAction:
    """Offer an action; its edit is computed when the user chooses it."""
    offer = Offer(document.uri, document.version, selected, action)
    return CodeAction(title=action.value, kind=CodeActionKind.RefactorRewrite, data=offer.to_data())


def disabled_action(action: Action, reason: str) -> CodeAction:
    """Show an action that cannot be chosen, with the reason."""
    return CodeAction(
        title=action.value, kind=CodeActionKind.RefactorRewrite, disabled=CodeActionDisabled(reason)
    )


def proofread_action(document: Snapshot) -> CodeAction:
    """Offer to proofread a document."""
    title = "Proofread this file"
    command = Command(title=title, command=CommandName.PROOFREAD, arguments=[document.uri])
    return CodeAction(title, kind=ActionKind.PROOFREAD, command=command)


def diagnostic(document: Snapshot, hint: PlacedHint) -> Diagnostic:
    """Show a hint in the way in which editors show it least."""
    word = hint.region.of(document.text)
    return Diagnostic(
        document.range(hint.region),
        f"Unexpected {word}; did you mean {hint.replacement}? ({hint.confidence:.0%} sure)",
        severity=DiagnosticSeverity.Hint,
        source=SECTION,
    )


def quick_fix(document: Snapshot, hint: PlacedHint, capabilities: ClientCapabilities) -> CodeAction:
    """Offer the edit that replaces one word or sign.

    Raises:
        GuaranteeBroken: it would change anything else.
    """
    title = f"Replace with {hint.replacement}"
    edit = workspace_edit(
        document,
        [Frame(hint.region)],
        [hint.replacement],
        capabilities,
        title,
        f"{hint.confidence:.0%} sure",
    )
    return CodeAction(
        title, kind=CodeActionKind.QuickFix, diagnostics=[diagnostic(document, hint)], edit=edit
    )


def workspace_edit(
    document: Snapshot,
    frames: Sequence[Frame],
    texts: Sequence[str],
    capabilities: ClientCapabilities,
    label: str,
    description: str,
) -> WorkspaceEdit:
    """Make the edit that puts texts and their frames into the regions, in one step that can be undone.

    It is bound to the document's version if the editor checks that, and annotated if the editor shows annotations.

    Args:
        document: as it is now.
        frames: the regions that are filled.
        texts: one for each frame.
        capabilities: what the editor can do.
        label: what the edit is.
        description: what else there is to say about it.

    Raises:
        GuaranteeBroken: it would change text outside the regions.
    """
    regions = tuple(frame.region for frame in frames)
    texts = [frame.before + text + frame.after for frame, text in zip(frames, texts, strict=True)]
    apply_fills(MaskedDocument(document.text, regions), texts)
    edits = [TextEdit(document.range(region), text) for region, text in zip(regions, texts, strict=True)]
    if not checks_versions(capabilities):
        return WorkspaceEdit(changes={document.uri: edits})
    identifier = OptionalVersionedTextDocumentIdentifier(uri=document.uri, version=document.version)
    if not shows_annotations(capabilities):
        return WorkspaceEdit(document_changes=[TextDocumentEdit(identifier, edits)])
    annotated = [AnnotatedTextEdit(_ANNOTATION, edit.range, edit.new_text) for edit in edits]
    return WorkspaceEdit(
        document_changes=[TextDocumentEdit(identifier, annotated)],
        change_annotations={_ANNOTATION: ChangeAnnotation(label, description=description)},
    )
