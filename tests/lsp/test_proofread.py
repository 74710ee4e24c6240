"""Proofreading over the protocol, with a real server process; the fake worker minds words that begin with wrong_."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lsp.conftest import StartServer
from tools.drivers.client import CAPABILITIES, Client, Message, ResponseError, applied
from tools.drivers.fake_worker import WorkerLog

pytestmark = pytest.mark.timeout(30)

TEXT = 'x = "😋 wrong_text"; wrong_a = 1\n# wrong_comment\ny = 2\n    wrong_b(x)\n'
SIZES = {"utf-8": (1, "utf-8"), "utf-16": (2, "utf-16-le"), "utf-32": (4, "utf-32-le")}


def read(client: Client, uri: str) -> Any:
    return client.ask("workspace/executeCommand", {"command": "dgemma.proofread", "arguments": [uri]})


def diagnostics(client: Client, count: int = 1) -> Any:
    """Those of the last of so many notifications."""
    client.wait_for(lambda _: len(client.notifications("textDocument/publishDiagnostics")) >= count)
    return client.notifications("textDocument/publishDiagnostics")[-1]["diagnostics"]


def start(start_server: StartServer, encoding: str = "utf-16", **options: object) -> Client:
    client = start_server()
    client.initialize({**CAPABILITIES, "general": {"positionEncodings": [encoding]}}, options=options)
    return client


def fixes(client: Client, uri: str, range_: Message) -> list[Message]:
    params = {
        "textDocument": {"uri": uri},
        "range": range_,
        "context": {"diagnostics": [], "only": ["quickfix"]},
    }
    found: list[Message] = client.ask("textDocument/codeAction", params)
    return found


def type_at(client: Client, uri: str, version: int, line: int, character: int, text: str) -> None:
    place = {"line": line, "character": character}
    client.change(uri, version, {"range": {"start": place, "end": place}, "text": text})


@pytest.mark.parametrize("encoding", list(SIZES))
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_hint_comes_with_a_fix_that_replaces_only_its_word(
    start_server: StartServer, log: WorkerLog, encoding: str, newline: str
) -> None:
    client = start(start_server, encoding)
    text = TEXT.replace("\n", newline)
    uri = client.open(text)
    assert read(client, uri) == 2
    first, second = diagnostics(client)
    size, codec = SIZES[encoding]
    column = len('x = "😋 wrong_text"; '.encode(codec)) // size
    assert first["range"] == {
        "start": {"line": 0, "character": column},
        "end": {"line": 0, "character": column + len("wrong_a")},
    }
    assert (first["severity"], first["source"]) == (4, "dgemma")
    assert first["message"] == "Unexpected wrong_a; did you mean right_a? (90% sure)"
    (fix,) = fixes(client, uri, second["range"])
    assert (fix["title"], fix["kind"]) == ("Replace with right_b", "quickfix")
    assert fix["diagnostics"] == [second]
    (change,) = fix["edit"]["documentChanges"]
    assert applied(text, change["edits"][0], encoding) == text.replace("wrong_b", "right_b")
    sent = log.entries("proofread")[0]
    assert [sent["text"][a:b] for a, b in sent["spans"]] == [
        'x = "😋 wrong_text"; wrong_a = 1',
        "y = 2",
        "wrong_b(x)",
    ]


def test_only_what_the_model_is_sure_of_is_shown_and_the_setting_may_change(
    start_server: StartServer,
) -> None:
    client = start(start_server, proofread={"confidence": 0.95})
    uri = client.open(TEXT)
    assert read(client, uri) == 0
    assert diagnostics(client) == []
    settings = {"dgemma": {"proofread": {"confidence": 0.5}}}
    client.notify("workspace/didChangeConfiguration", {"settings": settings})
    assert len(diagnostics(client, 2)) == 2


def test_a_hint_moves_with_its_text_and_goes_with_it(start_server: StartServer) -> None:
    client = start(start_server)
    uri = client.open(TEXT)
    read(client, uri)
    diagnostics(client)
    type_at(client, uri, 2, 0, 0, "# more\n")
    everything = {"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}}
    assert [fix["title"] for fix in fixes(client, uri, everything)] == [
        "Replace with right_a",
        "Replace with right_b",
    ]
    line = {"start": {"line": 4, "character": 4}, "end": {"line": 4, "character": 4}}
    (fix,) = fixes(client, uri, line)
    now = "# more\n" + TEXT
    (change,) = fix["edit"]["documentChanges"]
    assert applied(now, change["edits"][0]) == now.replace("wrong_b", "right_b")
    type_at(client, uri, 3, 4, 6, "!")
    assert [one["message"].split()[1] for one in diagnostics(client, 2)] == ["wrong_a;"]
    assert fixes(client, uri, line) == []
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert diagnostics(client, 3) == []


def test_saving_reads_what_has_changed_where_the_user_wants_it(
    start_server: StartServer, log: WorkerLog
) -> None:
    client = start(start_server)
    uri = client.open(TEXT)
    saved = {"textDocument": {"uri": uri}}
    client.notify("textDocument/didSave", saved)
    client.notify(
        "workspace/didChangeConfiguration", {"settings": {"dgemma": {"proofread": {"onSave": True}}}}
    )
    client.notify("textDocument/didSave", saved)
    assert len(diagnostics(client)) == 2
    type_at(client, uri, 2, 2, 5, " + wrong_c")
    client.notify("textDocument/didSave", saved)
    assert [one["message"].split()[1] for one in diagnostics(client, 2)] == [
        "wrong_a;",
        "wrong_b;",
        "wrong_c;",
    ]
    lines = [[sent["text"][a:b] for a, b in sent["spans"]] for sent in log.entries("proofread")]
    assert len(lines) == 2, "the setting was off at first"
    assert lines[1] == ["y = 2 + wrong_c"]


def test_the_command_is_offered_to_whoever_asks_for_its_kind(start_server: StartServer) -> None:
    client = start(start_server)
    uri = client.open(TEXT)
    place = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
    params = {
        "textDocument": {"uri": uri},
        "range": place,
        "context": {"diagnostics": [], "only": ["source"]},
    }
    (action,) = client.ask("textDocument/codeAction", params)
    assert (action["title"], action["kind"]) == ("Proofread this file", "source.proofread")
    assert client.ask("workspace/executeCommand", action["command"]) == 2


@pytest.mark.parametrize(
    ("uri", "options", "reason"),
    [
        ("file:///never/opened.py", {}, "not open"),
        ("file:///src/a.py", {"exclude": ["a.py"]}, "the setting exclude"),
        ("file:///src/a.py", {"languages": []}, "the setting languages"),
        ("file:///src/a.py", {"enable": False}, "turned off"),
    ],
)
def test_where_nothing_may_be_read_nothing_is(
    start_server: StartServer, log: WorkerLog, uri: str, options: Message, reason: str
) -> None:
    client = start(start_server, **options)
    client.open(TEXT)
    with pytest.raises(ResponseError, match=reason):
        read(client, uri)
    assert log.entries("proofread") == []


def test_a_completion_comes_between_and_the_bar_stops_the_reading(
    start_server: StartServer, log: WorkerLog
) -> None:
    client = start_server("--step-delay", "0.05")
    client.initialize()
    client.wait_for_message("window/logMessage", "is ready")
    uri = client.open("".join(f"x{n} = {n}\n" for n in range(200)) + "y = \n")
    command = {"command": "dgemma.proofread", "arguments": [uri]}
    request = client.request("workspace/executeCommand", command)
    report = client.wait_for_notification(
        "$/progress", lambda params: params["value"].get("kind") == "report"
    )
    assert report["value"]["message"].endswith("of 201 lines")
    assert client.complete(uri, 200, 4)
    client.notify("window/workDoneProgress/cancel", {"token": report["token"]})
    with pytest.raises(ResponseError, match="cancelled"):
        client.answer(request)
    read_lines = len(log.entries("proofread"))
    assert client.complete(uri, 0, 6, asked=True)
    assert len(log.entries("proofread")) <= read_lines + 1


def test_an_engine_that_fails_is_told(start_server: StartServer, tmp_path: Path) -> None:
    once = tmp_path / "once"
    client = start_server("--die-at-step", "0", "--die-once", str(once))
    client.initialize()
    client.wait_for_notification("window/showMessage")
    assert read(client, client.open(TEXT)) == 2, "it is started again"


def test_a_model_that_cannot_proofread_is_never_asked_to(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--cannot-proofread")
    client.initialize(options={"proofread": {"onSave": True}})
    client.wait_for_message("window/logMessage", "is ready")
    uri = client.open(TEXT)
    client.notify("textDocument/didSave", {"textDocument": {"uri": uri}})
    place = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
    context = {"diagnostics": [], "only": ["source"]}
    params = {"textDocument": {"uri": uri}, "range": place, "context": context}
    assert client.ask("textDocument/codeAction", params) == []
    with pytest.raises(ResponseError, match="This model cannot proofread"):
        read(client, uri)
    assert log.entries("proofread") == []
