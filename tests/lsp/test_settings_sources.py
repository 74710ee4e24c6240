"""Where settings come from, with a real server process: the worker's log tells which ones hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lsp.conftest import StartServer
from tools.drivers.client import CAPABILITIES, Client, Message
from tools.drivers.fake_worker import WorkerLog

pytestmark = pytest.mark.timeout(30)

PULLS: Message = {
    **CAPABILITIES,
    "workspace": {
        "configuration": True,
        "workspaceFolders": True,
        "didChangeConfiguration": {"dynamicRegistration": True},
        "didChangeWatchedFiles": {"dynamicRegistration": True},
    },
}
"""What an editor can do that waits for being asked."""


def options_of_a_fill(client: Client, log: WorkerLog, uri: str = "file:///src/a.py") -> Any:
    client.open("x = \n", uri)
    assert client.complete(uri, 0, 4, asked=True)
    return log.entries("fill")[-1]["options"]


def change_configuration(client: Client, settings: object = None) -> None:
    client.notify("workspace/didChangeConfiguration", {"settings": settings})


def asked_for(client: Client) -> list[Message]:
    return [one for one in tuple(client.received) if one.get("method") == "workspace/configuration"]


def test_an_editor_that_can_be_asked_is_asked_before_the_model_is_loaded(
    start_server: StartServer, log: WorkerLog
) -> None:
    client = start_server()
    client.answers["workspace/configuration"] = [{"steps": 8, "enable": True}]
    client.initialize(PULLS, options={"steps": 2, "seed": 3, "enable": False})
    client.wait_for_message("window/logMessage", "is ready")
    assert asked_for(client)[0]["params"]["items"] == [{"section": "dgemma"}]
    sent = options_of_a_fill(client, log)
    assert (sent["steps"], sent["seed"]) == (8, 3)
    assert len(log.entries("started")) == 1


def test_it_is_asked_again_when_something_has_changed(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.answers["workspace/configuration"] = [{"steps": 8, "seed": 3}]
    client.initialize(PULLS)
    client.wait_for_message("window/logMessage", "is ready")
    client.answers["workspace/configuration"] = [{"seed": 5}]
    change_configuration(client)
    client.wait_for(lambda _: len(asked_for(client)) == 2)
    sent = options_of_a_fill(client, log)
    assert (sent["steps"], sent["seed"]) == (4, 5), "what is no longer chosen is as it was before"


@pytest.mark.parametrize("answer", [None, [], [None], [{}], "x", [[]], {"dgemma": 1}])
def test_an_editor_that_answers_nothing_of_use_is_served_all_the_same(
    start_server: StartServer, log: WorkerLog, answer: object
) -> None:
    client = start_server()
    client.answers["workspace/configuration"] = answer
    client.initialize(PULLS, options={"steps": 2})
    assert options_of_a_fill(client, log)["steps"] == 2


def test_the_server_asks_to_be_told_of_changes(start_server: StartServer) -> None:
    client = start_server()
    client.initialize(PULLS)
    request = client.wait_for(lambda one: one.get("method") == "client/registerCapability")
    registered = {one["method"]: one["registerOptions"] for one in request["params"]["registrations"]}
    assert registered == {
        "workspace/didChangeConfiguration": {"section": "dgemma"},
        "workspace/didChangeWatchedFiles": {"watchers": [{"globPattern": "**/pyproject.toml"}]},
    }


def test_an_editor_that_cannot_be_asked_is_asked_for_nothing(start_server: StartServer) -> None:
    client = start_server()
    client.initialize()
    client.wait_for_message("window/logMessage", "is ready")
    methods = {message.get("method") for message in client.received}
    assert not methods & {"client/registerCapability", "workspace/configuration"}


def test_each_folder_follows_its_project_and_its_changes(
    start_server: StartServer, log: WorkerLog, tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, steps in ((one, 5), (other, 6)):
        folder.mkdir()
        (folder / "pyproject.toml").write_text(f"[tool.dgemma]\nsteps = {steps}\nseed = 1\n")
    client = start_server()
    client.initialize(PULLS, options={"seed": 2}, folders=[one.as_uri(), other.as_uri()])
    places = {folder: (folder / "a.py").as_uri() for folder in (one, other, tmp_path)}
    found = [options_of_a_fill(client, log, uri) for uri in places.values()]
    assert [sent["steps"] for sent in found] == [5, 6, 4]
    assert [sent["seed"] for sent in found] == [2, 2, 2], "the editor goes before the project"
    (one / "pyproject.toml").write_text("[tool.dgemma]\nsteps = 7\n")
    changed = {"uri": (one / "pyproject.toml").as_uri(), "type": 2}
    client.notify("workspace/didChangeWatchedFiles", {"changes": [changed]})
    assert options_of_a_fill(client, log, places[one])["steps"] == 7
    removed = [{"uri": one.as_uri(), "name": "one"}]
    client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": removed}})
    assert options_of_a_fill(client, log, places[one])["steps"] == 4


def test_a_mistake_in_a_project_is_told(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.dgemma]\nsteps = 0\n")
    client = start_server()
    client.initialize(root_uri=tmp_path.as_uri())
    client.wait_for_message("window/showMessage", "Setting steps must be a whole number from 1 to 256, not 0")


def test_the_environment_goes_before_the_editor(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server(environment={"DGEMMA_STEPS": "9", "DGEMMA_SEED": "lucky"})
    client.initialize(options={"steps": 2, "seed": 6})
    client.wait_for_message("window/showMessage", "The environment variable DGEMMA_SEED must be")
    sent = options_of_a_fill(client, log)
    assert (sent["steps"], sent["seed"]) == (9, 6)
