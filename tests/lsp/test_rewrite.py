"""The code action "Rewrite selection" over the protocol, with a real server process and the fake worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lsp.conftest import StartServer
from tools.drivers.client import CAPABILITIES, Client, Message, ResponseError, applied, fake, server_command
from tools.drivers.fake_worker import WorkerLog

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
    action = actions(shared, uri, A_PLUS_B)[0]
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
    kinds = {action["kind"] for action in actions(shared, uri, range_, only)}
    assert ("refactor.rewrite" in kinds) is offered


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
    action = actions(shared, uri, A_PLUS_B)[0]
    shared.change(uri, 2, {"text": "all is new\n"})
    refused(shared, action, "The document has changed since the action was offered")


def test_typing_while_the_model_works_drops_the_edit(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--step-delay", "0.2", "--steps", "3")
    client.initialize()
    uri = client.open(TEXT)
    request = client.request("codeAction/resolve", actions(client, uri, A_PLUS_B)[0])
    log.await_entries("step")
    client.change(uri, 2, {"text": "all is new\n"})
    with pytest.raises(ResponseError, match="The text that the edit belongs to has changed"):
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
    action = actions(shared, uri, A_PLUS_B)[0]
    refused(shared, action, "The document is too long.")
    assert shared.stderr == ""


def test_a_rewrite_that_would_break_the_file_is_refused_with_the_reason(shared: Client) -> None:
    uri = shared.open(TEXT + fake(text="((("))
    action = actions(shared, uri, A_PLUS_B)[0]
    refused(shared, action, "syntax error")


def refused(client: Client, action: Message, reason: str) -> None:
    with pytest.raises(ResponseError, match=reason) as error:
        client.ask("codeAction/resolve", action)
    assert error.value.code == -32803


# How much is kept, and what cannot be done


def test_a_rewrite_may_be_gentle_or_from_scratch(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize(options={"rewrite": {"strength": 0.6}})
    offers = actions(client, client.open(TEXT), A_PLUS_B)
    assert [action["title"] for action in offers] == [
        "Rewrite selection",
        "Rewrite selection gently",
        "Rewrite selection from scratch",
    ]
    for action in offers:
        client.ask("codeAction/resolve", action)
    assert [request["options"]["strength"] for request in log.entries("fill")] == [0.6, 0.3, 1.0]


def able(**code_action: object) -> Message:
    capabilities: Message = json.loads(json.dumps(CAPABILITIES))
    capabilities["textDocument"]["codeAction"] |= code_action
    return capabilities


def test_a_rewrite_with_an_instruction_is_shown_disabled_with_the_reason(start_server: StartServer) -> None:
    client = start_server()
    client.initialize(able(disabledSupport=True))
    *_, action = actions(client, client.open(TEXT), A_PLUS_B)
    assert action["title"] == "Rewrite selection with an instruction…"
    assert "does not follow instructions" in action["disabled"]["reason"]
    data = {"uri": "file:///src/a.py", "version": 1, "start": 0, "end": 3, "action": "INSTRUCT"}
    refused(client, {"title": "", "data": data}, "does not follow instructions")


def test_a_model_that_follows_instructions_is_given_one(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--follows-instructions")
    client.initialize(able())
    client.wait_for_message("window/logMessage", "is ready")
    *_, action = actions(client, client.open(TEXT), A_PLUS_B)
    assert action["title"] == "Rewrite selection with an instruction…"
    refused(client, action, "There is no instruction")
    action["data"]["instruction"] = "max(a, b)"
    edit = client.ask("codeAction/resolve", action)["edit"]
    assert edit["documentChanges"][0]["edits"][0]["newText"] == "max(a, b)"
    assert [request["instruction"] for request in log.entries("fill")] == ["max(a, b)"]


def test_an_edit_is_annotated_where_the_editor_shows_that(start_server: StartServer) -> None:
    client = start_server("--text", "value")
    capabilities = able()
    capabilities["workspace"]["workspaceEdit"]["changeAnnotationSupport"] = {}
    client.initialize(capabilities)
    edit = client.ask("codeAction/resolve", actions(client, client.open(TEXT), A_PLUS_B)[0])["edit"]
    assert edit["changeAnnotations"] == {"dgemma": {"label": "Rewrite selection", "description": "90% sure"}}
    (change,) = edit["documentChanges"]
    assert change["edits"][0]["annotationId"] == "dgemma"
    assert applied(TEXT, change["edits"][0]) == "x = '😋'; y = value\n    \n"


# An edit that is pending while the user types


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("when", ["offered", "computed"])
def test_typing_elsewhere_moves_a_pending_edit(
    start_server: StartServer, log: WorkerLog, encoding: str, when: str
) -> None:
    client = start_server("--step-delay", "0.1", "--steps", "3", "--text", "value")
    client.initialize({**CAPABILITIES, "general": {"positionEncodings": [encoding]}})
    size, codec = {"utf-8": (1, "utf-8"), "utf-16": (2, "utf-16-le"), "utf-32": (4, "utf-32-le")}[encoding]
    start = len("x = '😋'; y = ".encode(codec)) // size
    uri = client.open(TEXT)
    action = actions(client, uri, selection((0, start), (0, start + 5)))[0]
    if when == "computed":
        request = client.request("codeAction/resolve", action)
        log.await_entries("step")
    typed = "😋 = 1\n"
    client.change(uri, 2, {"range": selection((0, 0), (0, 0)), "text": typed})
    client.change(uri, 3, {"range": selection((2, 0), (2, 0)), "text": "# behind"})
    if when == "offered":
        request = client.request("codeAction/resolve", action)
    (change,) = client.answer(request)["edit"]["documentChanges"]
    assert change["textDocument"]["version"] == 3
    now = typed + TEXT.replace("    \n", "# behind    \n")
    assert applied(now, change["edits"][0], encoding) == now.replace("a + b", "value")


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        pytest.param("offered", "The document has changed since the action was offered", id="offered"),
        pytest.param("computed", "The text that the edit belongs to has changed", id="computed"),
    ],
)
def test_typing_under_a_pending_edit_drops_it_with_the_reason(
    start_server: StartServer, log: WorkerLog, when: str, reason: str
) -> None:
    client = start_server("--step-delay", "0.1", "--steps", "3")
    client.initialize()
    uri = client.open(TEXT)
    action = actions(client, uri, A_PLUS_B)[0]
    if when == "computed":
        request = client.request("codeAction/resolve", action)
        log.await_entries("step")
    client.change(uri, 2, {"range": selection((0, 15), (0, 15)), "text": "!"})
    if when == "offered":
        request = client.request("codeAction/resolve", action)
    with pytest.raises(ResponseError, match=reason):
        client.answer(request)


def test_a_document_that_was_opened_anew_has_no_pending_edit(
    start_server: StartServer, log: WorkerLog
) -> None:
    client = start_server("--step-delay", "0.1", "--steps", "3")
    client.initialize()
    uri = client.open(TEXT)
    request = client.request("codeAction/resolve", actions(client, uri, A_PLUS_B)[0])
    log.await_entries("step")
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    client.open("# something else than it was\n" + TEXT)
    with pytest.raises(ResponseError, match="The text that the edit belongs to has changed"):
        client.answer(request)
