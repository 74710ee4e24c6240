"""What an editor is told of what the server is doing, and why a wish gets nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lsp.conftest import StartServer
from tools.drivers.client import CAPABILITIES, Client, Message, ResponseError, fake
from tools.drivers.fake_worker import WorkerLog

pytestmark = pytest.mark.timeout(30)

LINE = "def f(x):\n    return \n"
LOADING, READY, FILLING = ({"state": state} for state in ("loading", "ready", "filling"))


def silent(reason: str) -> Message:
    return {"state": "silent", "reason": reason}


def told(client: Client) -> list[Any]:
    return client.notifications("dgemma/status")


def await_status(client: Client, status: Message) -> None:
    client.wait_for_notification("dgemma/status", lambda params: params == status)


@pytest.fixture
def client(start_server: StartServer) -> Client:
    client = start_server()
    client.initialize(options={"status": True, "automatic": {"minConfidence": 0.5}})
    await_status(client, READY)
    return client


def test_loading_and_filling_are_told(client: Client) -> None:
    uri = client.open(LINE)
    assert client.complete(uri, 1, 11)
    assert told(client) == [LOADING, READY, FILLING, READY]
    assert client.complete(uri, 1, 11)
    assert len(told(client)) == 4, "what is known already takes no filling"


def test_an_editor_may_say_that_it_shows_them(start_server: StartServer) -> None:
    client = start_server()
    client.initialize({**CAPABILITIES, "experimental": {"dgemmaStatus": True}})
    await_status(client, READY)


@pytest.mark.parametrize("experimental", [None, {}, {"dgemmaStatus": False}, {"other": True}, [1]])
def test_an_editor_that_does_not_ask_is_told_nothing(start_server: StartServer, experimental: object) -> None:
    client = start_server()
    client.initialize({**CAPABILITIES, "experimental": experimental})
    assert client.complete(client.open(LINE), 1, 11)
    assert told(client) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("de fg\n    word\n", "the cursor is inside a word"),
        (LINE + fake(confidence=0.2), "The model is 20% sure of its fill, and 50% are asked for."),
        (LINE + fake(text="  "), "The fill is empty."),
        (LINE + fake(text="x))"), "The fill would bring a syntax error into the file."),
    ],
)
def test_each_silence_has_a_reason(client: Client, text: str, reason: str) -> None:
    column = 6 if "word" in text else 11
    assert client.complete(client.open(text), 1, column) == []
    assert told(client)[-1] == silent(reason)


@pytest.mark.parametrize(
    ("uri", "language", "reason"),
    [
        ("file:///src/.env", "python", "the setting exclude covers the document"),
        ("file:///src/a.cob", "cobol", "the setting languages does not include the language of the document"),
    ],
)
def test_documents_where_nothing_is_done(client: Client, uri: str, language: str, reason: str) -> None:
    client.open(LINE, uri, language=language)
    assert client.complete(uri, 1, 11) == []
    assert told(client)[2:] == [silent(reason)]
    place = {"line": 0, "character": 0}
    params = {"textDocument": {"uri": uri}, "range": {"start": place, "end": place}}
    client.ask("textDocument/codeAction", {**params, "context": {"diagnostics": []}})
    assert told(client)[2:] == [silent(reason)], "the same is not told twice"


def test_a_document_that_is_not_open_and_a_server_that_is_off(client: Client) -> None:
    assert client.complete("file:///never/opened.py", 0, 0) == []
    assert told(client)[-1] == silent("the document is not open")
    client.notify("workspace/didChangeConfiguration", {"settings": {"dgemma": {"enable": False}}})
    await_status(client, silent("the server is turned off"))
    client.notify("workspace/didChangeConfiguration", {"settings": {"dgemma": {"enable": True}}})
    client.wait_for(lambda _: told(client)[-2:] == [LOADING, READY])


def test_an_error_comes_with_advice(client: Client) -> None:
    uri = client.open(LINE + fake(error="The document is too long; select less of it."))
    for _ in range(2):
        assert client.complete(uri, 1, 11) == []
    error = {"state": "error", "advice": "The document is too long; select less of it."}
    assert told(client)[2:] == [FILLING, error, FILLING, error]


def test_a_model_that_cannot_be_loaded_is_an_error(start_server: StartServer) -> None:
    client = start_server("--fail", "There is no model called 'x'.")
    client.initialize(options={"status": True})
    await_status(client, {"state": "error", "advice": "There is no model called 'x'."})
    assert told(client)[0] == LOADING


def test_while_somebody_waits_it_is_filling_whatever_became_of_others(
    start_server: StartServer, log: WorkerLog
) -> None:
    client = start_server("--step-delay", "0.1")
    client.initialize(options={"status": True})
    await_status(client, READY)
    uri = client.open(LINE)
    older = client.request_completion(uri, 1, 11)
    log.await_entries("step")
    newer = client.request_completion(uri, 1, 11, asked=True)
    assert client.answer(older)["items"] == []
    assert client.complete(uri, 1, 7) == [], "inside a word"
    assert told(client)[2:] == [FILLING]
    assert client.answer(newer)["items"]
    assert told(client)[2:] == [FILLING, READY]


def test_who_gives_up_leaves_a_server_that_is_ready(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--step-delay", "0.2")
    client.initialize(options={"status": True})
    await_status(client, READY)
    request = client.request_completion(client.open(LINE), 1, 11)
    log.await_entries("step")
    client.cancel(request)
    with pytest.raises(ResponseError):
        client.answer(request)
    client.wait_for(lambda _: told(client)[2:] == [FILLING, READY])
