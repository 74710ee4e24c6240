"""One VS Code for all tests of this folder; each of its windows has a project and a server of its own."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tools.drivers.fake_worker import FAKE_WORKER, WorkerLog
from tools.drivers.vscode.code_server import CodeServer
from tools.drivers.vscode.installed import build_package, what_is_missing
from tools.drivers.vscode.window import SIZE, Window, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FIXTURES = Path(__file__).parents[3] / "fixtures"

OpenWindow = Callable[..., Window]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if here and (missing := what_is_missing()):
        for item in here:
            item.add_marker(pytest.mark.skip(reason=f"VS Code was not tested: {missing}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a window looked like when a test failed."""
    report = yield
    if report.failed and isinstance(window := getattr(item, "funcargs", {}).get("window"), Window):
        window.picture(f"failed-{item.name}")
    return report


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def code_server(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodeServer]:
    folder = tmp_path_factory.mktemp("code-server")
    server = CodeServer(folder, package, [folder / "tools"])
    try:
        server.await_start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def project(folder: Path, files: Sequence[str], settings: Mapping[str, Any]) -> Path:
    """A folder with copies of fixtures, and settings of its own."""
    for name in files:
        shutil.copy(FIXTURES / name, folder)
    (folder / ".vscode").mkdir()
    (folder / ".vscode" / "settings.json").write_text(json.dumps(settings))
    return folder


def server_command(*options: str) -> list[str]:
    return [str(Path(sys.executable).with_name("dgemma-lsp")), *options]


@pytest.fixture(scope="module")
def open_window(
    browser: Browser, code_server: CodeServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenWindow]:
    """Open a project of these fixtures, with the first one in front."""
    opened: list[Window] = []

    def open_one(
        *files: str,
        settings: Mapping[str, Any],
        environment: Path | None = None,
        size: tuple[int, int] = SIZE,
    ) -> Window:
        folder = project(tmp_path_factory.mktemp("project"), files, settings)
        if environment is not None:
            (folder / ".venv").symlink_to(environment)
        opened.append(Window.open(browser, code_server, folder / Path(files[0]).name, size))
        return opened[-1]

    yield open_one
    for window in opened:
        window.close()


@pytest.fixture(scope="module")
def worker_log(tmp_path_factory: pytest.TempPathFactory) -> WorkerLog:
    return WorkerLog(tmp_path_factory.mktemp("worker") / "log")


@pytest.fixture(scope="module")
def fake_server(worker_log: WorkerLog) -> list[str]:
    """The command of a server whose model answers what a document says."""
    worker = shlex.join([sys.executable, str(FAKE_WORKER), "--log", str(worker_log.path)])
    return server_command("--worker-command", worker)
