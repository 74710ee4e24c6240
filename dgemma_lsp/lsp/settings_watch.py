"""Takes over what the user chooses in the editor and in projects' files, and hears of it when they choose anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from lsprotocol.types import (
    WORKSPACE_DID_CHANGE_CONFIGURATION,
    WORKSPACE_DID_CHANGE_WATCHED_FILES,
    ClientCapabilities,
    ConfigurationItem,
    ConfigurationParams,
    DidChangeConfigurationRegistrationOptions,
    DidChangeWatchedFilesRegistrationOptions,
    FileSystemWatcher,
    Registration,
    RegistrationParams,
)
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from dgemma_lsp.lsp.capabilities import (
    AskCapabilities,
    answers_configuration,
    registers_configuration,
    registers_files,
)
from dgemma_lsp.lsp.names import SECTION
from dgemma_lsp.lsp.teller import Teller
from dgemma_lsp.settings.layers import Layer
from dgemma_lsp.settings.preferences import PROJECT_FILE, Preferences

ANSWER_SECONDS = 2.0
"""How long the editor may take to tell its configuration before the server goes on without it."""


class SettingsWatch:
    """Keeps the preferences up to date.

    Args:
        editor: the connection to the editor.
        capabilities: returns what the editor can do.
        preferences: where the choices are kept.
        roots: returns the folders of the workspace.
        teller: tells the user what is wrong with their choices.
        changed: called after every change.
    """

    def __init__(
        self,
        editor: LanguageServer,
        capabilities: AskCapabilities,
        preferences: Preferences,
        roots: Callable[[], Iterable[str]],
        teller: Teller,
        changed: Callable[[], None],
    ) -> None:
        self._editor = editor
        self._capabilities = capabilities
        self._preferences = preferences
        self._roots = roots
        self._teller = teller
        self._changed = changed

    def begin(self, options: object) -> None:
        """Take over the initialization options and the projects' files; what is wrong with them is told later."""
        self._choose(Layer.OPTIONS, options)
        self._look_at_projects()

    async def begin_to_talk(self) -> None:
        """Tell what is wrong with the settings, and ask the editor for its own and for news of them."""
        self.tell_problems()
        if registrations := list(_registrations(self._capabilities())):
            self._editor.client_register_capability(RegistrationParams(registrations))
        await self._ask()

    async def configuration_changed(self, settings: object) -> None:
        """Take over the editor's configuration."""
        # Some editors send all of their settings. Others send nothing, and want to be asked.
        if isinstance(settings, Mapping) and SECTION in settings:
            self._choose(Layer.EDITOR, settings[SECTION])
            self.tell_problems()
        else:
            await self._ask()

    def projects_changed(self) -> None:
        """Read the projects' files again."""
        self._look_at_projects()
        self.tell_problems()

    def tell_problems(self) -> None:
        """Tell the user what is wrong with the settings and has not been told yet."""
        for problem in self._preferences.take_problems():
            self._teller.warn(problem)

    async def _ask(self) -> None:
        if not answers_configuration(self._capabilities()):
            return
        wanted = ConfigurationParams([ConfigurationItem(section=SECTION)])
        with suppress(TimeoutError, JsonRpcException):
            answer = await asyncio.wait_for(
                self._editor.workspace_configuration_async(wanted), ANSWER_SECONDS
            )
            self._choose(Layer.EDITOR, answer[0] if answer else None)
            self.tell_problems()

    def _choose(self, layer: Layer, options: object) -> None:
        self._preferences.choose(layer, options)
        self._changed()

    def _look_at_projects(self) -> None:
        self._preferences.look_at(self._roots())
        self._changed()


def _registrations(capabilities: ClientCapabilities) -> Iterator[Registration]:
    """Yield what the editor is asked to report: changes of its configuration and of projects' files."""
    if registers_configuration(capabilities):
        section = DidChangeConfigurationRegistrationOptions(section=SECTION)
        yield Registration("configuration", WORKSPACE_DID_CHANGE_CONFIGURATION, section)
    if registers_files(capabilities):
        files = DidChangeWatchedFilesRegistrationOptions([FileSystemWatcher(f"**/{PROJECT_FILE}")])
        yield Registration("projects", WORKSPACE_DID_CHANGE_WATCHED_FILES, files)
