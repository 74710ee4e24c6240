"""What has been chosen in each layer, and the settings that a document gets because of it.

Each workspace folder may have its own pyproject.toml, so two documents in one editor may have different settings. Those
that are the user's only are the same for all. Knows nothing of the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from dgemma_lsp.settings.layers import (
    NOTHING,
    Chosen,
    Layer,
    read,
    read_environment,
    read_project,
    resolved,
)
from dgemma_lsp.settings.settings import Settings

PROJECT_FILE = "pyproject.toml"
MOST_BYTES = 256 * 1024
"""A longer project file is not read."""

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Preferences:
    """Keeps what has been chosen.

    Args:
        environment: the variables of the process.
        command_line: what was chosen there.

    Attributes:
        settings: the settings of documents outside all workspace folders; they include all that are the user's only.
    """

    def __init__(self, environment: Mapping[str, str] = NO_VARIABLES, command_line: Chosen = NOTHING) -> None:
        chosen, self._problems = read_environment(environment)
        self._layers = {Layer.ENVIRONMENT: chosen, Layer.COMMAND_LINE: command_line}
        self._projects: dict[Path, Chosen] = {}
        self._resolve()

    def choose(self, layer: Layer, options: object) -> None:
        """Replace what was chosen in a layer."""
        self._layers[layer], problems = read(options, layer)
        self._problems += problems
        self._resolve()

    def look_at(self, roots: Iterable[str]) -> None:
        """Read the project files of the workspace folders again."""
        self._projects = {root: self._read(root / PROJECT_FILE) for root in map(Path, roots)}
        self._resolve()

    def of(self, path: str | None) -> Settings:
        """Return the settings for a document; ``path`` is None if it is not a file."""
        around = [root for root in self._of_projects if path and Path(path).is_relative_to(root)]
        # Where one folder is inside another, the inner one counts.
        innermost = max(around, key=lambda root: len(root.parts), default=None)
        return self._of_projects[innermost] if innermost else self.settings

    def take_problems(self) -> list[str]:
        """Return the mistakes found since the last call, one sentence each."""
        problems, self._problems = self._problems, []
        return problems

    def _resolve(self) -> None:
        self.settings = resolved(self._layers)
        self._of_projects = {
            root: resolved({**self._layers, Layer.PROJECT: chosen}) for root, chosen in self._projects.items()
        }

    def _read(self, file: Path) -> Chosen:
        try:
            if not file.is_file() or file.stat().st_size > MOST_BYTES:
                return NOTHING
            text = file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self._problems.append(f"{file} cannot be read ({error}); its settings for dgemma are not used.")
            return NOTHING
        chosen, problems = read_project(text, str(file))
        self._problems += problems
        return chosen
