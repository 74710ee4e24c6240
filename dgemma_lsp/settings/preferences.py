"""What has been chosen at each place, and the settings that hold for a document because of it.

Each workspace folder may have a pyproject.toml of its own, so two documents of one editor may have different settings;
those that concern the machine are the same for all. Knows nothing of the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from dgemma_lsp.settings.settings import (
    NOTHING,
    Chosen,
    Place,
    Settings,
    read,
    read_environment,
    read_project,
    settled,
)

PROJECT_FILE = "pyproject.toml"
MOST_BYTES = 256 * 1024
"""Of a project's file; a longer one is not read."""

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Preferences:
    """Where the choices are kept.

    Args:
        environment: variables of the process.
        command_line: what was chosen there.

    Attributes:
        settings: those of documents outside of every workspace folder, and all that concern the machine.
    """

    def __init__(self, environment: Mapping[str, str] = NO_VARIABLES, command_line: Chosen = NOTHING) -> None:
        chosen, self._problems = read_environment(environment)
        self._places = {Place.ENVIRONMENT: chosen, Place.COMMAND_LINE: command_line}
        self._projects: dict[Path, Chosen] = {}
        self._settle()

    def choose(self, place: Place, options: object) -> None:
        """Replace what was chosen at a place."""
        self._places[place], problems = read(options, place)
        self._problems += problems
        self._settle()

    def look_at(self, roots: Iterable[str]) -> None:
        """Read the projects' files of the workspace folders, in place of those read before."""
        self._projects = {root: self._read(root / PROJECT_FILE) for root in map(Path, roots)}
        self._settle()

    def of(self, path: str | None) -> Settings:
        """The settings for a file, or for a document that is none."""
        around = [root for root in self._of_projects if path and Path(path).is_relative_to(root)]
        # Of a folder in a folder the inner one's hold.
        innermost = max(around, key=lambda root: len(root.parts), default=None)
        return self._of_projects[innermost] if innermost else self.settings

    def take_problems(self) -> list[str]:
        """What is wrong with the choices and was not taken yet: a sentence for each mistake."""
        problems, self._problems = self._problems, []
        return problems

    def _settle(self) -> None:
        self.settings = settled(self._places)
        self._of_projects = {
            root: settled({**self._places, Place.PROJECT: chosen}) for root, chosen in self._projects.items()
        }

    def _read(self, file: Path) -> Chosen:
        try:
            if not file.is_file() or file.stat().st_size > MOST_BYTES:
                return NOTHING
            text = file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self._problems.append(f"{file} cannot be read ({error}); what it says of dgemma is not used.")
            return NOTHING
        chosen, problems = read_project(text, str(file))
        self._problems += problems
        return chosen
