"""Fills → what the protocol calls them: inline completion items, code actions, workspace edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lsprotocol.types import (
    WORKSPACE_DID_CHANGE_CONFIGURATION,
    WORKSPACE_DID_CHANGE_WATCHED_FILES,
    AnnotatedTextEdit,
    ChangeAnnotation,
    ClientCapabilities,
    CodeAction,
    CodeActionDisabled,
    CodeActionKind,
    Command,
    Diagnostic,
    DiagnosticSeverity,
    DidChangeConfigurationRegistrationOptions,
    DidChangeWatchedFilesRegistrationOptions,
    FileSystemWatcher,
    InlineCompletionItem,
    OptionalVersionedTextDocumentIdentifier,
    Position,
    Registration,
    SelectedCompletionInfo,
    TextDocumentEdit,
    TextEdit,
    WorkspaceEdit,
    WorkspaceEditClientCapabilities,
)

from dgemma_lsp.lsp.documents import Snapshot
from dgemma_lsp.lsp.suggestions import Noted, Rest
from dgemma_lsp.text.guarantee import apply_fills
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_lsp.text.regions.actions import Action
from dgemma_lsp.text.regions.frame import Frame

PROOFREADS = "source.proofread"
"""A kind of code actions of ours."""

SOURCE = "dgemma"
"""Of our diagnostics."""

ACCEPTED = "dgemma.accepted"
"""The command that an editor executes when the user has taken over an item."""


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

    def at(self, version: int, selected: Region) -> Offer:
        """The same in another version of the document."""
        return Offer(self.uri, version, selected, self.action)

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


@dataclass(frozen=True)
class Spot:
    """Where a completion is wanted.

    Attributes:
        document: as it is.
        replaced: what an entry of the editor's own list would replace; the cursor, when none is selected.
        chosen: the text of that entry.
    """

    document: Snapshot
    replaced: Region
    chosen: str = ""

    @classmethod
    def of(cls, document: Snapshot, position: Position, selected: SelectedCompletionInfo | None) -> Spot:
        if selected is not None:
            return cls(document, document.region(selected.range), selected.text)
        cursor = document.offset(position)
        return cls(document, Region(cursor, cursor))

    @cached_property
    def text(self) -> str:
        """The document with the selected entry taken over."""
        before, after = self.document.text[: self.replaced.start], self.document.text[self.replaced.end :]
        return before + self.chosen + after

    @property
    def cursor(self) -> int:
        """A character offset in `text`."""
        return self.replaced.start + len(self.chosen)


def inline_items(spot: Spot, rests: Sequence[Rest]) -> list[InlineCompletionItem]:
    """An item for each text, in their order, each with its range: editors guess differently without one.

    Raises:
        GuaranteeBroken: an item would change text outside of what it replaces.
    """
    masked = MaskedDocument(spot.document.text, (spot.replaced,))
    for rest in rests:
        apply_fills(masked, [spot.chosen + rest.text])
    return [_inline_item(spot, rest) for rest in rests]


def _inline_item(spot: Spot, rest: Rest) -> InlineCompletionItem:
    text = spot.chosen + rest.text
    replaced = spot.document.text[spot.replaced.start : spot.replaced.end]
    command = Command(
        title="Taken over", command=ACCEPTED, arguments=[spot.document.uri, rest.number, rest.choice]
    )
    return InlineCompletionItem(
        insert_text=text,
        # An item is hidden when what it replaces does not begin its text; a list is often searched more freely.
        filter_text=None if text.startswith(replaced) else replaced,
        range=spot.document.range(spot.replaced),
        command=command,
    )


def code_action(document: Snapshot, selected: Region, action: Action) -> CodeAction:
    """The offer to do something; the edit is computed when the user takes it up."""
    offer = Offer(document.uri, document.version, selected, action)
    return CodeAction(title=action.value, kind=CodeActionKind.RefactorRewrite, data=offer.to_data())


def diagnostic(document: Snapshot, hint: Noted) -> Diagnostic:
    """A hint as editors show it: hardly."""
    word = document.text[hint.region.start : hint.region.end]
    return Diagnostic(
        document.range(hint.region),
        f"{word} surprises here; {hint.replacement} would be likelier ({hint.confidence:.0%} sure).",
        severity=DiagnosticSeverity.Hint,
        source=SOURCE,
    )


def quick_fix(document: Snapshot, hint: Noted, capabilities: ClientCapabilities) -> CodeAction:
    """The edit that replaces one word or sign.

    Raises:
        GuaranteeBroken: it would change anything else.
    """
    title = f"Replace with {hint.replacement}"
    frame = [Frame(hint.region)]
    edit = workspace_edit(
        document, frame, [hint.replacement], capabilities, title, f"{hint.confidence:.0%} sure"
    )
    return CodeAction(
        title, kind=CodeActionKind.QuickFix, diagnostics=[diagnostic(document, hint)], edit=edit
    )


def command_action(document: Snapshot, title: str, command: str) -> CodeAction:
    """A command about a document, as an action on its source."""
    told = Command(title=title, command=command, arguments=[document.uri])
    return CodeAction(title, kind=PROOFREADS, command=told)


def disabled_action(action: Action, reason: str) -> CodeAction:
    """What cannot be done, shown with the reason."""
    return CodeAction(
        title=action.value, kind=CodeActionKind.RefactorRewrite, disabled=CodeActionDisabled(reason)
    )


def shows_disabled(capabilities: ClientCapabilities) -> bool:
    """Whether the editor shows what cannot be done as such."""
    text_document = capabilities.text_document
    code_action = text_document.code_action if text_document else None
    return bool(code_action and code_action.disabled_support)


def resolves_edits(capabilities: ClientCapabilities) -> bool:
    """Whether the editor can ask for the edit of a code action later."""
    text_document = capabilities.text_document
    code_action = text_document.code_action if text_document else None
    support = code_action.resolve_support if code_action else None
    return support is not None and "edit" in support.properties


def shows_status(capabilities: ClientCapabilities) -> bool:
    """Whether the editor says that it shows what the server is doing."""
    experimental = capabilities.experimental
    return isinstance(experimental, Mapping) and experimental.get("dgemmaStatus") is True


def registrations(capabilities: ClientCapabilities, section: str, file: str) -> list[Registration]:
    """What an editor that waits for being asked is asked to tell: changes of its configuration, and of a file.

    Args:
        capabilities: of the editor.
        section: of its configuration.
        file: the name of a file, in any folder.
    """
    workspace = capabilities.workspace
    configuration = workspace.did_change_configuration if workspace else None
    files = workspace.did_change_watched_files if workspace else None
    wanted = []
    if configuration and configuration.dynamic_registration:
        chosen = DidChangeConfigurationRegistrationOptions(section=section)
        wanted.append(Registration("configuration", WORKSPACE_DID_CHANGE_CONFIGURATION, chosen))
    if files and files.dynamic_registration:
        watched = DidChangeWatchedFilesRegistrationOptions([FileSystemWatcher(f"**/{file}")])
        wanted.append(Registration("projects", WORKSPACE_DID_CHANGE_WATCHED_FILES, watched))
    return wanted


def workspace_edit(
    document: Snapshot,
    frames: Sequence[Frame],
    texts: Sequence[str],
    capabilities: ClientCapabilities,
    label: str,
    description: str,
) -> WorkspaceEdit:
    """The edit that puts the texts and their frames into the regions, in one step that can be undone.

    It is bound to the document's version where the editor checks it, and annotated where the editor shows that.

    Args:
        document: as it is now.
        frames: what is to be filled.
        texts: one for each frame.
        capabilities: of the editor.
        label: what the edit is.
        description: what else there is to say of it.

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
    if not _shows_annotations(capabilities):
        return WorkspaceEdit(document_changes=[TextDocumentEdit(identifier, edits)])
    annotated = [AnnotatedTextEdit(_ANNOTATION, edit.range, edit.new_text) for edit in edits]
    return WorkspaceEdit(
        document_changes=[TextDocumentEdit(identifier, annotated)],
        change_annotations={_ANNOTATION: ChangeAnnotation(label, description=description)},
    )


_ANNOTATION = "dgemma"


def _checks_versions(capabilities: ClientCapabilities) -> bool:
    edit = _workspace_edit(capabilities)
    return bool(edit and edit.document_changes)


def _shows_annotations(capabilities: ClientCapabilities) -> bool:
    edit = _workspace_edit(capabilities)
    return bool(edit and edit.change_annotation_support)


def _workspace_edit(capabilities: ClientCapabilities) -> WorkspaceEditClientCapabilities | None:
    workspace = capabilities.workspace
    return workspace.workspace_edit if workspace else None
