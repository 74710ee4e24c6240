"""Inline completion over the protocol, with a real server process and the fake worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.lsp.conftest import StartServer
from tools.drivers.client import CAPABILITIES, Client, Message, ResponseError, applied, fake, server_command
from tools.drivers.fake_worker import WorkerLog

pytestmark = pytest.mark.timeout(30)

LINE = "def f(x):\n    return \n"


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    """One server for the tests that leave nothing behind: its fills repeat the last word before the cursor."""
    client = Client(server_command("--text", "after_{last}"))
    client.initialize()
    yield client
    client.close()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, WorkerLog]]:
    """An editor, and what its server asks of the model."""
    log = WorkerLog(tmp_path_factory.mktemp("watched") / "log")
    client = Client(server_command("--text", "value", "--log", str(log.path)))
    client.initialize()
    yield client, log
    client.close()


def test_an_automatic_completion_is_one_item_with_a_range(shared: Client) -> None:
    uri = shared.open(LINE)
    (item,) = shared.complete(uri, 1, 11)
    assert item["insertText"] == "after_return"
    assert item["range"] == {"start": {"line": 1, "character": 11}, "end": {"line": 1, "character": 11}}


def test_a_completion_that_is_asked_for_comes_with_alternatives_the_best_first(shared: Client) -> None:
    uri = shared.open(LINE)
    items = shared.complete(uri, 1, 11, asked=True)
    assert [item["insertText"] for item in items] == ["after_return", "after_return_1", "after_return_2"]


@pytest.mark.parametrize(
    ("encoding", "character"),
    [("utf-8", 12), ("utf-16", 10), ("utf-32", 9)],
    ids=["utf-8", "utf-16", "utf-32"],
)
def test_astral_characters_before_the_cursor(
    start_server: StartServer, encoding: str, character: int
) -> None:
    text = '😋 = 1\nx = "😋" ; y)\n'
    client = start_server("--text", "after_{last}")
    result = client.initialize({**CAPABILITIES, "general": {"positionEncodings": [encoding]}})
    assert result["capabilities"]["positionEncoding"] == encoding
    uri = client.open(text)
    client.change(uri, 2, insertion(1, character, "😋"))
    after = {"utf-8": 4, "utf-16": 2, "utf-32": 1}[encoding]
    edited = '😋 = 1\nx = "😋" ;😋 y)\n'
    item = client.complete(uri, 1, character + after, asked=True)[0]
    assert applied(edited, item, encoding) == '😋 = 1\nx = "😋" ;😋after_x y)\n'


def insertion(line: int, character: int, text: str) -> dict[str, object]:
    position = {"line": line, "character": character}
    return {"range": {"start": position, "end": position}, "text": text}


def test_line_endings_are_the_documents_own(shared: Client) -> None:
    uri = shared.open("def f(x):\r\n    x = \r\n" + fake(text="1\n    return x"))
    (item,) = shared.complete(uri, 1, 8)
    assert item["insertText"] == "1\r\n    return x"


def test_edits_are_followed_also_behind_a_form_feed(shared: Client) -> None:
    uri = shared.open("import a\n\x0c\n", "file:///src/feed.py")
    shared.change(uri, 2, insertion(2, 0, "value = "), insertion(2, 8, "other + "))
    (item,) = shared.complete(uri, 2, 16)
    assert item["insertText"] == "after_other"


def test_below_the_gate_an_automatic_completion_is_silent_and_one_asked_for_is_not(shared: Client) -> None:
    uri = shared.open(LINE + fake(confidence=0.1))
    assert shared.complete(uri, 1, 11) == []
    assert len(shared.complete(uri, 1, 11, asked=True)) == 3


def test_what_would_break_the_file_is_not_shown_automatically_and_comes_last_when_asked_for(
    shared: Client,
) -> None:
    uri = shared.open(LINE + fake(texts=["x))", "x", "x"]))
    assert shared.complete(uri, 1, 11) == []
    items = shared.complete(uri, 1, 11, asked=True)
    assert [item["insertText"] for item in items] == ["x", "x))"]


@pytest.mark.parametrize(("line", "character"), [(1, 7), (1, 2)], ids=["in a word", "in an indentation"])
def test_where_a_completion_would_annoy_there_is_none(shared: Client, line: int, character: int) -> None:
    uri = shared.open(LINE)
    assert shared.complete(uri, line, character) == []


def test_alternatives_are_made_in_one_batch_for_who_asks_and_not_for_who_types(
    watched: tuple[Client, WorkerLog],
) -> None:
    client, log = watched
    for asked, count in ((True, 3), (False, 1)):
        uri, filled = client.open(LINE, f"file:///src/asked_{asked}.py"), len(log.entries("fill"))
        client.complete(uri, 1, 11, asked=asked)
        (request,) = log.entries("fill")[filled:]
        assert request["options"]["alternatives"] == count


@pytest.mark.parametrize(
    ("marked", "single_line"),
    [
        pytest.param("def f(a):\n    b = a\n    return ˇ\n", True, id="at the end of a line"),
        pytest.param("x = f(ˇ) + 1\n", True, id="in the middle of a line, in brackets"),
        pytest.param("x = f(\n    ˇ\n)\n", True, id="on an empty line in brackets"),
        pytest.param("def f(a):\n    b = a\n    ˇ\n    return b\n", True, id="on an empty line in a body"),
        pytest.param("def f(a):\n    ˇ\n", False, id="behind a colon"),
        pytest.param("def f(a):ˇ\n", True, id="behind a colon in its line"),
        pytest.param("if a == 'b':\n    ˇ\n", False, id="behind a string and a colon"),
        pytest.param("x = {\n    ˇ\n}\n", False, id="behind a brace"),
        pytest.param("print('😋 ˇ')\n", True, id="in a string"),
        pytest.param(
            'def f(a):\n    """Docs.\n\n    Args:\n        ˇ\n    """\n',
            True,
            id="behind a colon in a string",
        ),
        pytest.param("# To do:\nˇ\nx = 1\n", True, id="behind a colon in a comment"),
        pytest.param("x = 1  # 😋 ˇ\n", True, id="in a comment"),
        pytest.param("valˇ\n", True, id="behind half a name"),
    ],
)
def test_a_line_or_a_block_is_chosen_by_what_stands_at_the_cursor(
    watched: tuple[Client, WorkerLog], marked: str, single_line: bool
) -> None:
    client, log = watched
    text, before = marked.replace("ˇ", ""), marked[: marked.index("ˇ")]
    line, character = before.count("\n"), len(before.split("\n")[-1].encode("utf-16-le")) // 2
    uri = client.open(text)
    filled = len(log.entries("fill"))
    (item,) = client.complete(uri, line, character)
    (request,) = log.entries("fill")[filled:]
    assert request["options"]["single_line"] is single_line
    assert request["segments"] == [before, text[len(before) :]]
    assert item["range"]["start"] == item["range"]["end"] == {"line": line, "character": character}


def test_a_document_that_is_not_open_gets_no_completion(shared: Client) -> None:
    assert shared.complete("file:///never/opened.py", 0, 0) == []


def test_cancelling_stops_the_denoising(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--step-delay", "0.1", "--steps", "100")
    client.initialize()
    uri = client.open(LINE)
    request = client.request_completion(uri, 1, 11)
    log.await_entries("step", 2)
    client.cancel(request)
    with pytest.raises(ResponseError) as cancelled:
        client.answer(request)
    assert cancelled.value.code == -32800
    log.await_entries("cancel")
    steps = len(log.entries("step"))
    time.sleep(0.5)
    assert len(log.entries("step")) <= steps + 1


def test_in_a_storm_of_keystrokes_the_newest_wins(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--step-delay", "0.15", "--steps", "4", "--text", "{last}(1)")
    client.initialize()
    uri = client.open("\n")
    requests = []
    for version in range(20):
        client.change(uri, version + 2, insertion(0, version, "abcdefghijklmnopqrst"[version]))
        requests.append(client.request_completion(uri, 0, version + 1))
    answers = [client.answer(request)["items"] for request in requests]
    assert answers[:-1] == [[]] * 19
    assert [item["insertText"] for item in answers[-1]] == ["abcdefghijklmnopqrst(1)"]
    finished = [entry for entry in log.entries("step") if entry["step"] == 4]
    assert len(finished) == 1, "a fill was finished that nobody wanted any longer"


def test_of_the_keystrokes_of_a_second_one_is_answered(start_server: StartServer, log: WorkerLog) -> None:
    """As an editor sends them: apart from each other, and taking back what it no longer wants."""
    client = start_server("--step-delay", "0.1", "--steps", "4", "--text", "{last}(1)")
    client.initialize()
    log.await_entries("ready")
    uri = client.open("\n")
    requests: list[int] = []
    for version in range(20):
        client.change(uri, version + 2, insertion(0, version, "abcdefghijklmnopqrst"[version]))
        if requests and version % 2:
            client.cancel(requests[-1])
        requests.append(client.request_completion(uri, 0, version + 1))
        time.sleep(0.04)
    answers = [items_or_cancelled(client, request) for request in requests]
    assert answers[:-1] == [[]] * 19
    assert len(answers[-1]) == 1
    finished = [entry for entry in log.entries("step") if entry["step"] == 4]
    assert len(finished) == 1, "a fill was finished that nobody wanted any longer"


def items_or_cancelled(client: Client, request: int) -> list[Message]:
    try:
        items: list[Message] = client.answer(request)["items"]
    except ResponseError as error:
        if error.code != -32800:
            raise
        return []
    return items


def test_a_document_that_changes_meanwhile_gets_no_completion(
    start_server: StartServer, log: WorkerLog
) -> None:
    client = start_server("--step-delay", "0.2", "--steps", "3")
    client.initialize()
    uri = client.open(LINE)
    request = client.request_completion(uri, 1, 11)
    log.await_entries("step")
    client.change(uri, 2, insertion(1, 11, "y"))
    assert client.answer(request)["items"] == []


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_worker_costs_one_request_and_one_message(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--step-delay", "0.1")
    client.initialize()
    uri = client.open(LINE)
    request = client.request_completion(uri, 1, 11)
    log.await_entries("step")
    os.kill(log.entries("started")[0]["pid"], signal.SIGKILL)
    assert client.answer(request)["items"] == []
    shown = client.wait_for_notification("window/showMessage")
    assert "was killed by SIGKILL, perhaps because the memory ran out" in shown["message"]
    assert len(client.complete(uri, 1, 11)) == 1
    assert len(log.entries("started")) == 2


def test_an_engine_that_always_fails_says_so_once(shared: Client) -> None:
    uri = shared.open(LINE + fake(error="The document is too long."))
    for _ in range(5):
        assert shared.complete(uri, 1, 11) == []
    assert [shown["message"] for shown in shared.notifications("window/showMessage")] == [
        "The document is too long."
    ]
