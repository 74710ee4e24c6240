"""Where the server leaves its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgemma_lsp.lsp.state_folder import state_folder

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("variables", "windows", "folder"),
    [
        ({"XDG_STATE_HOME": "/state"}, False, "/state/dgemma-lsp"),
        ({}, False, "/home/me/.local/state/dgemma-lsp"),
        ({"LOCALAPPDATA": "/local"}, True, "/local/dgemma-lsp"),
        ({"XDG_STATE_HOME": "/state"}, True, "/home/me/AppData/Local/dgemma-lsp"),
    ],
)
def test_each_system_has_its_place(variables: dict[str, str], windows: bool, folder: str) -> None:
    assert state_folder(variables, Path("/home/me"), windows).as_posix() == folder
