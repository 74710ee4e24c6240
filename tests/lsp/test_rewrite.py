"""The code action "Rewrite selection" over the protocol, with a real server process and the fake worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_worker import WorkerLog
from tests.lsp.client import CAPABILITIES, Client, Message, ResponseError, applied, fake, server_command
from tests.lsp.conftest import StartServer

pytestmark = pytest.mark.timeout(30)

TEXT = "x = '😋'; y = a + b\n    \n"


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    client = Client(server_command("--text", "value"))
    client.initialize()
    yield client
    client.close()


def selection(start: tuple[int, int], end: tuple[int, int]) -> Message:
    return {
        "start": {"line": start[0], "character": start[1]},
        "end": {"line": end[0], "character": end[1]},
    }


A_PLUS_B = selection((0, 14), (0, 19))
"""In UTF-16 units: the smiling face counts as two."""


def actions(client: Client, uri: str, range_: Message, only: list[str] | None = None) -> list[Message]:
    context: Message = {"diagnostics": []} | ({"only": only} if only is not None else {})
    params = {"textDocument": {"uri": uri}, "range": range_, "context": context}
    answer: list[Message] = client.ask("textDocument/codeAction", params)
    return answer


def test_a_rewrite_is_offered_without_an_edit_and_resolved_into_one(shared: Client) -> None:
    uri = shared.open(TEXT, version=7)
    (action,) = actions(shared, uri, A_PLUS_B)
    assert (action["title"], action["kind"]) == ("Rewrite selection", "refactor.rewrite")
    assert "edit" not in action
    (change,) = shared.ask("codeAction/resolve", action)["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": uri, "version": 7}
    (edit,) = change["edits"]
    assert applied(TEXT, edit) == "x = '😋'; y = value\n    \n"


@pytest.mark.parametrize(
    ("range_", "only", "offered"),
    [
        pytest.param(selection((0, 3), (0, 3)), None, False, id="nothing is selected"),
        pytest.param(selection((1, 0), (2, 0)), None, False, id="only blanks are selected"),
        pytest.param(A_PLUS_B, ["refactor"], True, id="all refactorings are wanted"),
        pytest.param(A_PLUS_B, ["refactor.rewrite"], True, id="rewrites are wanted"),
        pytest.param(A_PLUS_B, ["refactor.re"], False, id="a kind that only starts alike is wanted"),
        pytest.param(A_PLUS_B, ["quickfix", "source"], False, id="other kinds are wanted"),
    ],
)
def test_when_a_rewrite_is_offered(
    shared: Client, range_: Message, only: list[str] | None, offered: bool
) -> None:
    uri = shared.open(TEXT)
    assert bool(actions(shared, uri, range_, only)) is offered


def test_the_model_gets_the_selected_text_and_the_strength(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize(options={"rewrite": {"strength": 0.3}, "alternatives": 2})
    uri = client.open(TEXT)
    client.ask("codeAction/resolve", actions(client, uri, A_PLUS_B)[0])
    (request,) = log.entries("fill")
    assert request["present"] == ["a + b"]
    assert request["segments"] == ["x = '😋'; y = ", "\n    \n"]
    assert (request["options"]["strength"], request["options"]["alternatives"]) == (0.3, 2)


def test_an_editor_without_versioned_edits_gets_plain_ones(start_server: StartServer) -> None:
    client = start_server()
    client.initialize({**CAPABILITIES, "workspace": {}})
    uri = client.open(TEXT)
    edit = client.ask("codeAction/resolve", actions(client, uri, A_PLUS_B)[0])["edit"]
    assert list(edit["changes"]) == [uri]
    assert applied(TEXT, edit["changes"][uri][0]) == "x = '😋'; y = value\n    \n"


def test_an_editor_that_cannot_resolve_edits_is_offered_none(start_server: StartServer) -> None:
    client = start_server()
    client.initialize({**CAPABILITIES, "textDocument": {"codeAction": {}}})
    assert actions(client, client.open(TEXT), A_PLUS_B) == []


def test_an_offer_for_an_older_version_is_refused(shared: Client) -> None:
    uri = shared.open(TEXT)
    (action,) = actions(shared, uri, A_PLUS_B)
    shared.change(uri, 2, {"text": "all is new\n"})
    refused(shared, action, "The document has changed since the action was offered")


def test_typing_while_the_model_works_drops_the_edit(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--step-delay", "0.2", "--steps", "3")
    client.initialize()
    uri = client.open(TEXT)
    request = client.request("codeAction/resolve", actions(client, uri, A_PLUS_B)[0])
    log.await_entries("step")
    client.change(uri, 2, {"text": "all is new\n"})
    with pytest.raises(ResponseError, match="The document has changed"):
        client.answer(request)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"uri": "file:///src/a.py", "version": 1, "start": 5, "end": 2, "action": "REWRITE"},
        {"uri": "file:///src/a.py", "version": 1, "start": 2, "end": 5, "action": "DELETE"},
        [1],
        "x",
    ],
)
def test_an_action_of_somebody_else_is_refused(shared: Client, data: Any) -> None:
    refused(shared, {"title": "Rewrite selection", "data": data}, "does not come from this server")


def test_a_region_outside_of_the_text_is_refused(shared: Client) -> None:
    uri = shared.open(TEXT)
    data = {"uri": uri, "version": 1, "start": 0, "end": 999, "action": "REWRITE"}
    refused(shared, {"title": "Rewrite selection", "data": data}, "outside")


def test_an_engine_that_fails_is_an_error_that_reads_well(shared: Client) -> None:
    uri = shared.open(TEXT + fake(error="The document is too long."))
    (action,) = actions(shared, uri, A_PLUS_B)
    refused(shared, action, "The document is too long.")
    assert shared.stderr == ""


def test_a_rewrite_that_would_break_the_file_is_refused_with_the_reason(shared: Client) -> None:
    uri = shared.open(TEXT + fake(text="((("))
    (action,) = actions(shared, uri, A_PLUS_B)
    refused(shared, action, "syntax error")


def refused(client: Client, action: Message, reason: str) -> None:
    with pytest.raises(ResponseError, match=reason) as error:
        client.ask("codeAction/resolve", action)
    assert error.value.code == -32803
