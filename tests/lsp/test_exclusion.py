"""Documents that are left alone: a real server process, and a worker that writes down whatever reaches it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lsp.conftest import StartServer
from tools.drivers.client import Client, Message, ResponseError
from tools.drivers.fake_worker import WorkerLog

pytestmark = pytest.mark.timeout(30)

SECRET = "hunter2"
TEXT = f'password = "{SECRET}"\nother = ...\ncopy = \n'
HERE = {"start": {"line": 2, "character": 7}, "end": {"line": 2, "character": 7}}


def code_actions(client: Client, uri: str) -> list[Message]:
    params = {"textDocument": {"uri": uri}, "range": HERE, "context": {"diagnostics": []}}
    actions: list[Message] = client.ask("textDocument/codeAction", params)
    return actions


def worker_is_told(log: WorkerLog, client: Client) -> str:
    """All that has reached the worker, once it has got something that may reach it."""
    uri = client.open("allowed = \n", "file:///elsewhere/allowed.py")
    assert client.complete(uri, 0, 10)
    told = log.path.read_text()
    assert "allowed" in told
    return told


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".env", "the setting exclude"),
        ("deep/er/.env.py", "the setting exclude"),
        ("%2Eenv", "the setting exclude"),
        ("id.KEY", "the setting exclude"),
        ("ignored.py", "an ignore file"),
        ("private/a.py", "an ignore file"),
    ],
)
def test_nothing_of_a_document_that_is_left_alone_reaches_the_worker(
    start_server: StartServer, log: WorkerLog, tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    (tmp_path / ".dgemmaignore").write_text("private/\n")
    client = start_server()
    client.initialize(options={"logLevel": "debug"}, root_uri=tmp_path.as_uri())
    uri = client.open(TEXT, f"{tmp_path.as_uri()}/{name}")
    for asked in (False, True):
        assert client.complete(uri, 2, 7, asked) == []
    assert f"No completion: {why}" in client.wait_for_message("window/logMessage", why)
    assert code_actions(client, uri) == []
    client.wait_for_message("window/logMessage", f"No code actions: {why}")
    data = {"uri": uri, "version": 1, "start": 0, "end": 0, "action": "FILL_FILE"}
    with pytest.raises(ResponseError, match=why):
        client.ask("codeAction/resolve", {"title": "", "data": data})
    accepting = {"command": "dgemma.accepted", "arguments": [uri, 0, 0]}
    client.ask("workspace/executeCommand", accepting)
    assert SECRET not in worker_is_told(log, client)


def test_a_document_that_is_no_file_is_judged_by_its_name(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize()
    for name in ("untitled:.env", "vscode-vfs://github/me/.env.local"):
        assert client.complete(client.open(TEXT, name), 2, 7, asked=True) == []
    assert SECRET not in worker_is_told(log, client)
    assert client.complete(client.open("x = \n", "untitled:Untitled-1"), 0, 4)


def test_the_user_may_exclude_others(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize(options={"exclude": ["generated/"]})
    inside = client.open(TEXT, "file:///src/generated/a.py")
    assert client.complete(inside, 2, 7) == []
    assert SECRET not in worker_is_told(log, client)
    client.notify("workspace/didChangeConfiguration", {"settings": {"dgemma": {"exclude": []}}})
    assert client.complete(inside, 2, 7)


def test_a_suggestion_is_forgotten_when_its_document_is_excluded(start_server: StartServer) -> None:
    client = start_server()
    client.initialize()
    uri = client.open(TEXT)
    assert client.complete(uri, 2, 7)
    client.notify("workspace/didChangeConfiguration", {"settings": {"dgemma": {"exclude": ["*.py"]}}})
    assert client.complete(uri, 2, 7) == []


def test_a_glob_that_makes_no_sense_is_told(start_server: StartServer) -> None:
    client = start_server()
    client.initialize(options={"exclude": ["!"]})
    client.wait_for_message(
        "window/showMessage", 'Setting exclude must be a list of globs such as ["**/*.key"]'
    )


# Other open documents

ELSEWHERE = "def read_password(file):\n    password = file.readline().strip()\n    return password\n"
ASKING = "def check(file):\n    password = read_password(file)\n    x = \n"


def context_of(client: Client, log: WorkerLog) -> list[str]:
    uri = client.open(ASKING, "file:///src/asking.py")
    assert client.complete(uri, 2, 8)
    context = [piece["text"] for piece in log.entries("fill")[-1]["context"]]
    return context


def test_another_open_document_is_of_use(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize()
    client.open(ELSEWHERE, "file:///src/elsewhere.py")
    client.open("password = 1", "file:///src/elsewhere.go", language="go")
    (piece, *_) = context_of(client, log)
    assert piece.startswith("def read_password(file):")
    assert all("password = 1" not in piece for piece in context_of(client, log))


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("file:///src/.env.py", {}),
        ("file:///src/elsewhere.py", {"exclude": ["elsewhere.py"]}),
        ("file:///src/elsewhere.py", {"context": False}),
        ("file:///src/private/elsewhere.py", {"exclude": ["private/"]}),
    ],
)
def test_nothing_of_a_document_that_is_left_alone_comes_into_anothers_prompt(
    start_server: StartServer, log: WorkerLog, uri: str, options: Message
) -> None:
    client = start_server()
    client.initialize(options=options)
    client.open(ELSEWHERE.replace("readline", SECRET), uri)
    assert context_of(client, log) == []
    assert SECRET not in log.path.read_text()


def test_what_an_ignore_file_names_comes_into_nobodys_prompt(
    start_server: StartServer, log: WorkerLog, tmp_path: Path
) -> None:
    (tmp_path / ".gitignore").write_text("elsewhere.py\n")
    client = start_server()
    client.initialize(root_uri=tmp_path.as_uri())
    client.open(ELSEWHERE.replace("readline", SECRET), f"{tmp_path.as_uri()}/elsewhere.py")
    assert context_of(client, log) == []
    assert SECRET not in log.path.read_text()
