"""Start, settings, loading and end of a real server process."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dgemma_lsp.cli.main import main
from tests.lsp.conftest import StartServer
from tools.drivers.client import CAPABILITIES, Client, server_command
from tools.drivers.fake_worker import WorkerLog

pytestmark = pytest.mark.timeout(30)


def test_initialize_is_answered_while_the_model_loads(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--load-delay", "5")
    capabilities = client.initialize()["capabilities"]
    assert capabilities["inlineCompletionProvider"] is not None
    assert capabilities["codeActionProvider"] == {
        "codeActionKinds": ["quickfix", "refactor.rewrite", "source.proofread"],
        "resolveProvider": True,
    }
    uri = client.open("x = \n")
    log.await_entries("started")
    request = client.request_completion(uri, 0, 4)
    action = {"textDocument": {"uri": uri}, "range": range_of(0, 0, 4), "context": {"diagnostics": []}}
    assert len(client.ask("textDocument/codeAction", action)) == 3
    client.cancel(request)
    assert client.wait_for(lambda message: message.get("id") == request)["error"]["code"] == -32800
    assert log.entries("ready") == [], "all this happens before the model is loaded"


def range_of(line: int, start: int, end: int) -> dict[str, object]:
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}


def test_loading_is_shown_and_logged(start_server: StartServer) -> None:
    client = start_server("--load-delay", "0.2")
    client.initialize()
    created = client.wait_for(lambda message: message.get("method") == "window/workDoneProgress/create")
    end = client.wait_for_notification("$/progress", lambda params: params["value"]["kind"] == "end")
    assert end["token"] == created["params"]["token"]
    assert "fake is ready" in end["value"]["message"]
    kinds = [params["value"]["kind"] for params in client.notifications("$/progress")]
    assert kinds == ["begin", "end"]
    assert "fake is ready" in client.wait_for_notification("window/logMessage")["message"]


def test_an_editor_without_progress_gets_none(start_server: StartServer) -> None:
    client = start_server()
    client.initialize({**CAPABILITIES, "window": {}})
    client.wait_for_message("window/logMessage", "is ready")
    assert client.notifications("$/progress") == []


def test_a_model_that_cannot_be_loaded_is_told_once(start_server: StartServer) -> None:
    client = start_server("--fail", "There is no model called 'x'.")
    client.initialize()
    client.wait_for_notification("$/progress", lambda params: params["value"]["kind"] == "end")
    uri = client.open("x = \n")
    for _ in range(3):
        assert client.complete(uri, 0, 4) == []
    shown = [params["message"] for params in client.notifications("window/showMessage")]
    assert shown == ["There is no model called 'x'."]


def test_wrong_settings_are_told_and_the_others_hold(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize(options={"steps": 2, "seed": "lucky", "stepz": 3})
    for expected in ["Setting seed must be a whole number", "There is no setting stepz; did you mean steps?"]:
        client.wait_for_message("window/showMessage", expected)
    uri = client.open("x = \n")
    assert client.complete(uri, 0, 4)
    sent = log.entries("fill")[0]
    assert sent["options"] == {
        "steps": 2,
        "seed": 0,
        "strength": 1.0,
        "alternatives": 1,
        "single_line": True,
    }
    assert sent["context"] == []


def test_settings_may_change(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize(options={"steps": 2})
    uri = client.open("x = \n")
    several: list[object] = [None, {"other": {}}, {"dgemma": {"seed": 5}}]
    for settings in several:
        client.notify("workspace/didChangeConfiguration", {"settings": settings})
    assert client.complete(uri, 0, 4)
    assert (log.entries("fill")[0]["options"]["steps"], log.entries("fill")[0]["options"]["seed"]) == (2, 5)
    assert len(log.entries("started")) == 1


def test_the_server_can_be_turned_off_and_on(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize(options={"enable": False})
    uri = client.open("x = \n")
    assert client.complete(uri, 0, 4, asked=True) == []
    assert not log.path.exists(), "a server that is turned off starts no worker"
    client.notify("workspace/didChangeConfiguration", {"settings": {"dgemma": {"enable": True}}})
    client.wait_for_message("window/logMessage", "is ready")
    assert client.complete(uri, 0, 4)


def test_another_model_is_another_worker(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize()
    log.await_entries("ready")
    client.notify("workspace/didChangeConfiguration", {"settings": {"dgemma": {"model": "another"}}})
    log.await_entries("ready", 2)
    log.await_entries("ended", 1)


def test_log_messages_are_as_many_as_wanted(start_server: StartServer) -> None:
    client = start_server()
    client.initialize(options={"logLevel": "debug"})
    uri = client.open("word\n")
    client.complete(uri, 0, 2)
    client.wait_for_message("window/logMessage", "inside a word")


def test_a_message_that_makes_no_sense_does_not_end_the_server(start_server: StartServer) -> None:
    client = start_server()
    client.initialize()
    client.notify("textDocument/didChange", {"nothing": 1})
    client.change("file:///never/opened.py", 1, {"text": "x"})
    client.notify("no/such/method", {})
    uri = client.open("x = \n")
    assert client.complete(uri, 0, 4)
    assert client.notifications("window/showMessage") == []
    assert_no_torch(client)


def assert_no_torch(client: Client) -> None:
    """Only looked at where there is something to look at."""
    maps = Path(f"/proc/{client.process.pid}/maps")
    assert not maps.exists() or "libtorch" not in maps.read_text()


def test_shutdown_and_exit_end_server_and_worker(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize()
    log.await_entries("ready")
    assert client.shut_down() == 0
    log.await_entries("ended")


def test_shutdown_in_the_middle_of_a_fill(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--step-delay", "0.2", "--steps", "100")
    client.initialize()
    uri = client.open("x = \n")
    client.request_completion(uri, 0, 4)
    log.await_entries("step")
    assert client.shut_down() == 0
    log.await_entries("ended")


def test_exit_without_shutdown_is_an_error(start_server: StartServer) -> None:
    client = start_server()
    client.initialize()
    client.notify("exit")
    assert client.process.wait(10) == 1


def test_the_server_ends_when_the_editor_closes_the_pipe(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize()
    log.await_entries("ready")
    assert client.process.stdin
    client.process.stdin.close()
    assert client.process.wait(10) == 1
    log.await_entries("ended")


def test_the_server_ends_when_the_editors_process_is_gone(start_server: StartServer, log: WorkerLog) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as editor:
        client = start_server()
        client.initialize(process_id=editor.pid)
        log.await_entries("ready")
    assert client.process.wait(10) == 1
    log.await_entries("ended")


def test_an_editor_in_another_container_is_not_missed(start_server: StartServer) -> None:
    client = start_server()
    client.initialize(process_id=2**22 - 1)  # Linux' highest id
    time.sleep(1.2)
    assert client.shut_down() == 0


def test_the_command_line_reaches_the_engine() -> None:
    code = """
import sys
import dgemma_lsp.engines.local as local, dgemma_lsp.cli.main as main
local.worker_command = lambda model, device: print(model, device, file=sys.stderr) or ["/no/such/worker"]
sys.exit(main.main(["--model", "some/model", "--device", "cuda"]))
"""
    client = Client([sys.executable, "-c", code])
    client.initialize()
    client.wait_for_message("window/showMessage", "cannot be started")
    assert client.shut_down() == 0
    assert client.stderr == "some/model cuda\n"
    client.close()


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert re.fullmatch(r"dgemma-lsp \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--stido"], "unrecognized arguments: --stido"),
        (["--device", "gpu"], "argument --device: invalid choice: 'gpu'"),
        (["--tcp", "somewhere"], "argument --tcp: 'somewhere' is not of the form HOST:PORT"),
        (["--stdio", "--tcp", ":1"], "argument --tcp: not allowed with argument --stdio"),
    ],
)
def test_wrong_use_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"dgemma-lsp: {sentence}")
    assert len(err.splitlines()) == 1


def test_the_server_may_listen_on_a_port_for_debugging() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    command = server_command(options=["--tcp", f"127.0.0.1:{port}"])
    command.remove("--stdio")
    with subprocess.Popen(command) as server:
        body = b'{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}'
        with connected(port) as connection:
            connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            assert connection.recv(1000).startswith(b"Content-Length")
        assert server.wait(10) == 0


def connected(port: int) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the server never listened"
            time.sleep(0.05)
