"""Typing through a suggestion and accepting it, with a real server process: the worker's log tells who was asked."""

from __future__ import annotations

import pytest

from tests.lsp.conftest import StartServer
from tools.drivers.client import CAPABILITIES, Client, Message, applied, fake
from tools.drivers.fake_worker import WorkerLog

pytestmark = pytest.mark.timeout(30)

LINE = "def f(x):\n    return \n"


def insertion(line: int, character: int, text: str) -> Message:
    return replacement(line, character, character, text)


def replacement(line: int, start: int, end: int, text: str) -> Message:
    place = {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}
    return {"range": place, "text": text}


def units(text: str, encoding: str) -> int:
    size = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    codec = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding]
    return len(text.encode(codec)) // size


def accept(client: Client, item: Message) -> None:
    client.ask("workspace/executeCommand", item["command"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_who_types_what_is_suggested_waits_for_nobody(
    start_server: StartServer, log: WorkerLog, encoding: str
) -> None:
    suggested = 'é("😋") + 1'
    before, behind = 'x = "😋"; y = ', "\n" + fake(text=suggested)
    client = start_server()
    client.initialize({**CAPABILITIES, "general": {"positionEncodings": [encoding]}})
    uri = client.open(before + behind)
    for typed in range(len(suggested)):
        line = before + suggested[:typed]
        (item,) = client.complete(uri, 0, units(line, encoding))
        assert item["insertText"] == suggested[typed:]
        assert applied(line + behind, item, encoding) == before + suggested + behind
        client.change(uri, typed + 2, insertion(0, units(line, encoding), suggested[typed]))
    assert len(log.entries("fill")) == 1


@pytest.fixture
def client(start_server: StartServer) -> Client:
    client = start_server("--text=-data.get(x)")
    client.initialize()
    return client


def suggested(client: Client, text: str = LINE) -> tuple[str, Message]:
    uri = client.open(text)
    (item,) = client.complete(uri, 1, 11)
    return uri, item


def test_deleting_back_and_taking_over_a_word_are_followed_too(client: Client, log: WorkerLog) -> None:
    uri, _ = suggested(client)
    client.change(uri, 2, insertion(1, 11, "-data"))
    assert client.complete(uri, 1, 16)[0]["insertText"] == ".get(x)"
    client.change(uri, 3, replacement(1, 14, 16, ""))
    (item,) = client.complete(uri, 1, 14)
    assert (item["insertText"], item["range"]) == ("ta.get(x)", replacement(1, 14, 14, "")["range"])
    assert len(log.entries("fill")) == 1


def test_what_is_left_does_not_double_a_bracket_that_the_editor_has_closed(
    client: Client, log: WorkerLog
) -> None:
    uri, _ = suggested(client)
    client.change(uri, 2, insertion(1, 11, "-data.get()"))
    assert client.complete(uri, 1, 21)[0]["insertText"] == "x"
    assert len(log.entries("fill")) == 1


def test_who_types_something_else_gets_something_else(client: Client, log: WorkerLog) -> None:
    uri, _ = suggested(client)
    client.change(uri, 2, insertion(1, 11, "y = "))
    assert client.complete(uri, 1, 15)[0]["insertText"] == "-data.get(x)"
    client.change(uri, 3, insertion(0, 0, "# "))
    client.complete(uri, 1, 15)
    assert len(log.entries("fill")) == 3


def test_who_asks_gets_all_alternatives_and_may_type_through_any_of_them(
    client: Client, log: WorkerLog
) -> None:
    uri = client.open(LINE + fake(texts=["one", "two", "three"]))
    assert client.complete(uri, 1, 11)[0]["insertText"] == "one"
    several = client.complete(uri, 1, 11, asked=True)
    assert [item["insertText"] for item in several] == ["one", "two", "three"]
    assert len(log.entries("fill")) == 2
    client.change(uri, 2, insertion(1, 11, "t"))
    assert [item["insertText"] for item in client.complete(uri, 1, 12)] == ["wo"]
    several = client.complete(uri, 1, 12, asked=True)
    assert [item["insertText"] for item in several] == ["wo", "hree"]
    assert len(log.entries("fill")) == 2


def test_other_settings_and_a_closed_document_are_a_new_beginning(client: Client, log: WorkerLog) -> None:
    uri, _ = suggested(client)
    client.notify("workspace/didChangeConfiguration", {"settings": {"dgemma": {"steps": 2}}})
    assert client.complete(uri, 1, 11)
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    suggested(client)
    assert len(log.entries("fill")) == 3


# What comes behind an item


@pytest.mark.parametrize("told_first", [False, True])
def test_what_follows_an_accepted_item_is_there_before_it_is_asked_for(
    client: Client, log: WorkerLog, told_first: bool
) -> None:
    uri, item = suggested(client)
    if told_first:
        accept(client, item)
    client.change(uri, 2, insertion(1, 11, item["insertText"]))
    if not told_first:
        accept(client, item)
    fill = log.await_entries("fill", 2)[-1]
    assert fill["segments"] == ["def f(x):\n    return -data.get(x)", "\n"]
    assert client.complete(uri, 1, 23)
    assert len(log.entries("fill")) == 2


def test_that_nothing_follows_is_known_too(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--text", "value.get(x)")
    client.initialize()
    uri, item = suggested(client)
    client.change(uri, 2, insertion(1, 11, "value.get(x)"))
    accept(client, item)
    log.await_entries("fill", 2)
    for _ in range(3):
        assert client.complete(uri, 1, 23) == [], "it would not parse"
    assert len(log.entries("fill")) == 2


def test_who_asks_while_it_is_computed_gets_it(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--step-delay", "0.1", "--text=-data.get(x)")
    client.initialize()
    uri, item = suggested(client)
    client.change(uri, 2, insertion(1, 11, item["insertText"]))
    accept(client, item)
    log.await_entries("step", 5)
    assert client.complete(uri, 1, 23)[0]["insertText"] == "-data.get(x)"
    assert len(log.entries("fill")) == 2


def test_what_is_computed_ahead_gives_way_to_any_other_wish(
    start_server: StartServer, log: WorkerLog
) -> None:
    client = start_server("--step-delay", "0.1", "--text=-data.get(x)")
    client.initialize()
    uri, item = suggested(client)
    accept(client, item)
    log.await_entries("step", 5)
    other = client.open("y = \n", "file:///src/b.py")
    assert client.complete(other, 0, 4)
    assert log.entries("cancel")
    client.change(uri, 2, insertion(1, 11, item["insertText"]))
    assert client.complete(uri, 1, 23), "what was given up can be asked for"


@pytest.mark.parametrize(
    "arguments",
    [["file:///src/a.py", 7, 0], ["file:///src/a.py", 0, 3], ["file:///never/opened.py", 0, 0]],
)
def test_an_item_that_is_forgotten_leads_to_nothing(
    client: Client, log: WorkerLog, arguments: list[object]
) -> None:
    suggested(client)
    accept(client, {"command": {"title": "", "command": "dgemma.accepted", "arguments": arguments}})
    assert client.complete("file:///src/a.py", 1, 11)
    assert len(log.entries("fill")) == 1
    assert client.notifications("window/showMessage") == []


# The editor's own list


def selecting(client: Client, uri: str, line: int, start: int, end: int, text: str) -> list[Message]:
    selected = {**replacement(line, start, end, text)}
    params = {
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": end},
        "context": {"triggerKind": 2, "selectedCompletionInfo": selected},
    }
    items: list[Message] = client.ask("textDocument/inlineCompletion", params)["items"]
    return items


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_an_item_extends_the_selected_entry(start_server: StartServer, log: WorkerLog, encoding: str) -> None:
    client = start_server("--text", "(x)")
    client.initialize({**CAPABILITIES, "general": {"positionEncodings": [encoding]}})
    before, behind = 'x = "😋"; y = ', "\nz = 0\n"
    start, end = units(before, encoding), units(before + "prt", encoding)
    uri = client.open(before + "prt" + behind)
    (item,) = selecting(client, uri, 0, start, end, "print")
    assert (item["insertText"], item["filterText"]) == ("print(x)", "prt")
    assert item["range"] == replacement(0, start, end, "")["range"]
    assert applied(before + "prt" + behind, item, encoding) == before + "print(x)" + behind
    assert log.entries("fill")[0]["segments"] == [before + "print", behind]
    # The user takes over the entry, and types on.
    client.change(uri, 2, replacement(0, start, end, "print("))
    (item,) = client.complete(uri, 0, units(before + "print(", encoding))
    assert item["insertText"] == "x)"
    assert len(log.entries("fill")) == 1
