"""What an editor can do, as it says in ``initialize``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lsprotocol.types import ClientCapabilities
from pygls.capabilities import get_capability

from dgemma_lsp.lsp.names import Experimental

AskCapabilities = Callable[[], ClientCapabilities]
"""Returns what the editor can do. It is asked late, because features are made before ``initialize`` arrives."""


def resolves_edits(capabilities: ClientCapabilities) -> bool:
    """Whether the editor can ask for the edit of a code action when the user has chosen it."""
    return "edit" in get_capability(capabilities, "text_document.code_action.resolve_support.properties", ())


def shows_disabled_actions(capabilities: ClientCapabilities) -> bool:
    """Whether the editor shows a code action that cannot be chosen, with the reason."""
    return get_capability(capabilities, "text_document.code_action.disabled_support", False)


def checks_versions(capabilities: ClientCapabilities) -> bool:
    """Whether the editor applies an edit only to the version of the document that it was made for."""
    return get_capability(capabilities, "workspace.workspace_edit.document_changes", False)


def shows_annotations(capabilities: ClientCapabilities) -> bool:
    """Whether the editor shows what an edit is and what else there is to say about it."""
    return get_capability(capabilities, "workspace.workspace_edit.change_annotation_support") is not None


def shows_progress(capabilities: ClientCapabilities) -> bool:
    """Whether the editor has progress bars."""
    return get_capability(capabilities, "window.work_done_progress", False)


def shows_status(capabilities: ClientCapabilities) -> bool:
    """Whether the editor says that it shows what the server is doing."""
    experimental = get_capability(capabilities, "experimental")
    return isinstance(experimental, Mapping) and experimental.get(Experimental.STATUS) is True


def answers_configuration(capabilities: ClientCapabilities) -> bool:
    """Whether the editor can be asked for its configuration."""
    return get_capability(capabilities, "workspace.configuration", False)


def registers_configuration(capabilities: ClientCapabilities) -> bool:
    """Whether the editor can be asked to report changes of its configuration."""
    return get_capability(capabilities, "workspace.did_change_configuration.dynamic_registration", False)


def registers_files(capabilities: ClientCapabilities) -> bool:
    """Whether the editor can be asked to report changes of files."""
    return get_capability(capabilities, "workspace.did_change_watched_files.dynamic_registration", False)
