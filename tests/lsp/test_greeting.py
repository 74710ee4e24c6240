"""The greeting against the server without one: the editor must not be able to tell them apart, but by the clock."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from dgemma_lsp.engines.base import Engine
from dgemma_lsp.lsp.greeting import greet
from dgemma_lsp.lsp.server import build_server
from dgemma_lsp.settings.settings import Settings
from tests.fakes import FakeEngine
from tests.lsp.conftest import StartServer
from tools.drivers.client import CAPABILITIES, Client, Message

pytestmark = pytest.mark.timeout(30)

EngineFactory = Callable[[Settings], Engine]
Talk = Callable[..., list[Message]]


def initialize(capabilities: object = None, **changes: object) -> Message:
    params = {"processId": None, "rootUri": None, "capabilities": capabilities or {}}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params} | changes


def framed(*messages: object) -> bytes:
    bodies = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in messages]
    return b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies)


GOOD_BYE = framed({"jsonrpc": "2.0", "id": 99, "method": "shutdown"}, {"jsonrpc": "2.0", "method": "exit"})


def fake_engine(_settings: Settings) -> Engine:
    return FakeEngine()


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    """What a server in this process says to some input, until it ends."""

    def answers(incoming: bytes, greeted: bool, make_engine: EngineFactory = fake_engine) -> list[Message]:
        said = tmp_path / "said"
        own = io.BytesIO(incoming), said.open("wb")
        streams = greet(*own) if greeted else own
        with streams[1]:
            build_server(make_engine).start_io(*streams)
        return list(messages(said.read_bytes()))

    return answers


def messages(stream: bytes) -> Iterator[Message]:
    while stream:
        head, _, rest = stream.partition(b"\r\n\r\n")
        length = int(head.removeprefix(b"Content-Length: ").split()[0])
        yield json.loads(rest[:length])
        stream = rest[length:]


# What is said


def editors() -> list[Any]:
    """What real editors can do, as pytest-lsp has noted it."""
    files = [file for file in resources.files("pytest_lsp.clients").iterdir() if file.name.endswith(".json")]
    assert files, "pytest-lsp keeps them elsewhere now"
    return [pytest.param(json.loads(file.read_text())["capabilities"], id=file.name) for file in files]


def offering(*encodings: object) -> Message:
    return {"general": {"positionEncodings": [*encodings]}}


@pytest.mark.parametrize(
    "capabilities",
    [
        *editors(),
        CAPABILITIES,
        {},
        {"general": None},
        {"general": {}},
        {"general": []},
        {"general": {"positionEncodings": None}},
        {"general": {"positionEncodings": "utf-8"}},
        offering(),
        offering("utf-8"),
        offering("utf-16"),
        offering("utf-32"),
        offering("utf-32", "utf-8", "utf-16"),
        offering("utf-7", "utf-8"),
        offering("utf-7"),
        offering("UTF-8"),
        offering(None, 8, "utf-32"),
        {"notebookDocument": {"synchronization": {"dynamicRegistration": True}}},
        {"textDocument": {"codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}}}}},
        {"textDocument": {"rename": {"prepareSupport": True}, "synchronization": {"willSave": True}}},
        {"workspace": {"fileOperations": {"didCreate": True, "willRename": True}}},
    ],
)
def test_an_editor_is_told_what_pygls_would_say(talk: Talk, capabilities: Message) -> None:
    incoming = framed(initialize(capabilities)) + GOOD_BYE
    greeted = talk(incoming, greeted=True)
    assert without_false(greeted) == without_false(talk(incoming, greeted=False))
    assert [message["id"] for message in greeted] == [1, 99], "one answer for each request"


def without_false(said: Any) -> Any:
    """pygls says that it does not want willSave, but only to editors that know it. To say nothing means the same."""
    if isinstance(said, list):
        return [without_false(one) for one in said]
    if isinstance(said, dict):
        return {name: without_false(value) for name, value in said.items() if value is not False}
    return said


@pytest.mark.parametrize("request_id", [7, 0, "a", "é", "1"])
def test_an_answer_has_the_id_of_its_request(talk: Talk, request_id: int | str) -> None:
    greeted = talk(framed(initialize(id=request_id)) + GOOD_BYE, greeted=True)
    assert [message["id"] for message in greeted] == [request_id, 99]


HOVER = {"textDocument": {"uri": "file:///a.py"}, "position": {"line": 0, "character": 0}}


@pytest.mark.parametrize(
    "incoming",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"good\r\nmorning\n\n", id="lines that are no headers"),
        pytest.param(b"good morning\r\n" + framed(initialize()), id="such a line, then initialize"),
        pytest.param(framed(initialize())[:-1], id="an end in the middle of the body"),
        pytest.param(framed(initialize())[:9], id="an end in the middle of a header"),
        pytest.param(framed(initialize()).replace(b": ", b": 9", 1), id="a length that is too great"),
        pytest.param(framed(initialize()).replace(b": 1", b": 0", 1), id="a length that is too small"),
        pytest.param(b"Content-Length: 0\r\n\r\n" + framed(initialize()), id="a length of nothing"),
        pytest.param(framed(initialize()).lower() + framed(initialize()), id="headers in lower case"),
        pytest.param(framed(b"{nope", initialize()), id="a body that is not JSON"),
        pytest.param(framed(b"\xe9\xff", initialize()), id="a body that is not UTF-8"),
        pytest.param(framed(b"[" * 100_000, initialize()), id="a body that is too deep"),
        pytest.param(framed(None, initialize()), id="a body that is no object"),
        pytest.param(framed([initialize()], initialize()), id="a batch"),
        pytest.param(framed(initialize(params={}), initialize()), id="no capabilities"),
        pytest.param(framed(initialize(params=None), initialize()), id="no parameters"),
        pytest.param(framed(initialize(id=None)), id="no id"),
        pytest.param(framed(initialize(id=1.5)), id="a broken id"),
        pytest.param(framed(initialize(jsonrpc="1.0"), initialize()), id="another protocol"),
        pytest.param(framed(initialize(error=1), initialize()), id="a request and a response in one"),
        pytest.param(framed(initialize(method="textDocument/hover", params=HOVER)), id="another request"),
        pytest.param(framed({"jsonrpc": "2.0", "method": "initialized", "params": {}}), id="a notification"),
        pytest.param(framed(initialize(), initialize()), id="initialize twice with the same id"),
        pytest.param(framed(initialize(), initialize(id=2)), id="initialize twice"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_unusual_beginning_is_left_to_the_server(talk: Talk, incoming: bytes) -> None:
    for ending in (b"", GOOD_BYE):
        assert talk(incoming + ending, greeted=True) == talk(incoming + ending, greeted=False)


def test_a_refusal_that_comes_after_the_greeting_is_sent_too(talk: Talk) -> None:
    def no_engine(settings: Settings) -> Engine:
        raise RuntimeError("There is no engine.")

    said = talk(framed(initialize()), greeted=True, make_engine=no_engine)
    assert [message["id"] for message in said if "id" in message] == [1, 1]
    assert "There is no engine." in said[1]["error"]["message"]
    assert "There is no engine." in said[2]["params"]["message"], "and it is logged"


def test_parameters_that_cannot_be_understood_are_logged(talk: Talk) -> None:
    said = talk(framed(initialize({"textDocument": 7})), greeted=True)
    assert said[1]["error"]["code"] == -32602, "a request is answered, also one that was greeted"
    assert "could not be handled: Invalid Params" in said[2]["params"]["message"]


# When it is said, by a real process


def test_the_answer_comes_before_the_server_is_imported() -> None:
    code = """
import sys
from dgemma_lsp.cli.main import main
assert not {"pygls", "lsprotocol", "asyncio"} & set(sys.modules)
sys.modules["dgemma_lsp.lsp.server"] = None
main(["--stdio"])
"""
    client = Client([sys.executable, "-c", code])
    # No more than that: the process may be gone before a second message.
    answer = client.ask("initialize", initialize(CAPABILITIES)["params"])
    assert answer["serverInfo"]["name"] == "dgemma-lsp"
    assert client.process.wait(10) == 1
    assert "dgemma_lsp.lsp.server" in client.stderr
    client.close()


def test_nothing_is_lost_of_what_comes_with_initialize(start_server: StartServer) -> None:
    client = start_server()
    text = "# a text that is longer than any pipe is wide\n" * 10_000
    item = {"uri": "file:///a.py", "languageId": "python", "version": 1, "text": f"{text}x = \n"}
    completion = {
        "textDocument": {"uri": "file:///a.py"},
        "position": {"line": 10_000, "character": 4},
        "context": {"triggerKind": 1},
    }
    together = framed(
        initialize(CAPABILITIES),
        {"jsonrpc": "2.0", "method": "initialized", "params": {}},
        {"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": item}},
        {"jsonrpc": "2.0", "id": 2, "method": "textDocument/inlineCompletion", "params": completion},
    )
    assert client.process.stdin
    client.process.stdin.write(together)
    client.process.stdin.flush()
    assert client.answer(2)["items"][0]["insertText"] == "value"
    assert [message["id"] for message in client.received if "result" in message] == [1, 2]


def test_a_message_may_come_in_pieces(start_server: StartServer) -> None:
    client = start_server()
    assert client.process.stdin
    for piece in range(0, len(incoming := framed(initialize())), 7):
        client.process.stdin.write(incoming[piece : piece + 7])
        client.process.stdin.flush()
    assert client.answer(1)["capabilities"]["positionEncoding"] == "utf-16"
