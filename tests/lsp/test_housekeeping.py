"""Log, counters, doctor, bars and drafts, with real server processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dgemma_lsp.lsp.counters import counted_by_day
from dgemma_lsp.lsp.log_file import LOG
from tests.lsp.conftest import StartServer
from tools.drivers.client import CAPABILITIES, Client, Message, ResponseError, fake, server_command
from tools.drivers.fake_worker import WorkerLog

pytestmark = pytest.mark.timeout(30)

SECRET = "hunter2"
LINE = f'password = "{SECRET}"\nx = \n'
HOLE = {"start": {"line": 0, "character": 5}, "end": {"line": 0, "character": 5}}


def state(log: WorkerLog) -> Path:
    return log.path.parent / "dgemma-lsp"


# The log


def log_after(client: Client, log: WorkerLog) -> str:
    client.shut_down()
    return (state(log) / LOG).read_text("utf-8")


@pytest.mark.parametrize("asked", [False, True], ids=["by default", "when it is asked for"])
def test_source_code_comes_into_the_log_only_when_it_is_asked_for(
    start_server: StartServer, log: WorkerLog, asked: bool
) -> None:
    client = start_server(f"--text='{SECRET}'")
    client.initialize(options={"logLevel": "debug", "logSource": asked})
    client.wait_for_message("window/logMessage", "is ready")
    uri = client.open(LINE)
    assert client.complete(uri, 1, 4)
    client.notify("textDocument/didChange", {"textDocument": {"uri": uri}, "contentChanges": SECRET})
    client.wait_for_message("window/logMessage", "could not be handled")
    written = log_after(client, log)
    assert "is ready" in written
    assert "Completed in 4 steps" in written
    assert (SECRET in written) is asked


def test_no_log_is_written_where_none_is_wanted(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server()
    client.initialize(options={"logFile": False})
    client.wait_for_message("window/logMessage", "is ready")
    client.shut_down()
    assert not state(log).exists()


# Counters


@pytest.mark.parametrize("wanted", [True, False])
def test_what_is_shown_and_accepted_is_counted_once(
    start_server: StartServer, log: WorkerLog, wanted: bool
) -> None:
    client = start_server("--text", "value")
    client.initialize(options={"counters": wanted})
    uri = client.open(LINE)
    (item,) = client.complete(uri, 1, 4)
    place = {"line": 1, "character": 4}
    client.change(uri, 2, {"range": {"start": place, "end": place}, "text": "va"})
    client.complete(uri, 1, 6)
    client.ask("workspace/executeCommand", item["command"])
    client.shut_down()
    if not wanted:
        assert counted_by_day(state(log)) == {}
        return
    (counts,) = counted_by_day(state(log)).values()
    assert (counts.shown, counts.shown_characters) == (1, 5)
    assert (counts.accepted, counts.accepted_characters) == (1, 5)
    environment = {"XDG_STATE_HOME": str(log.path.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "dgemma_lsp.cli.main", "stats", "--json"],
        capture_output=True, text=True, env=environment, check=True, timeout=20,
    )  # fmt: skip
    assert json.loads(done.stdout)["total"]["accepted_characters"] == 5


def test_what_still_stands_when_the_document_is_closed_is_kept(
    start_server: StartServer, log: WorkerLog
) -> None:
    client = start_server("--text", "value_of_something")
    client.initialize()
    uri = client.open(LINE)
    (item,) = client.complete(uri, 1, 4)
    client.change(uri, 2, {"text": LINE.replace("x = ", "x = value_of_nothing")})
    client.ask("workspace/executeCommand", item["command"])
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    client.shut_down()
    (counts,) = counted_by_day(state(log)).values()
    assert counts.kept_characters == len("value_of_" + "thing")


# The doctor


def doctor(*options: str, worker: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [one for one in server_command(*worker) if one != "--stdio"]
    return subprocess.run(
        [*command, "doctor", *options], capture_output=True, text=True, timeout=25, check=False
    )


def test_the_doctor_times_a_fill() -> None:
    done = doctor("--json", worker=("--text", "first - second"))
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["versions"]["pygls"]
    assert said["cores"] >= 1
    assert said["fill"]["text"] == "first - second"
    assert said["fill"]["warm_milliseconds"] > 0


def test_the_doctor_speaks_to_people_and_says_what_is_wrong() -> None:
    done = doctor()
    assert done.returncode == 0
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [
        "versions", "system", "processor", "GPU", "model", "a fill",
    ]  # fmt: skip
    done = doctor(worker=("--fail", "There is no model called x."))
    assert done.returncode == 3
    assert "There is no model called x." in done.stdout
    assert done.stderr == ""


# Bars and drafts


def offer(client: Client, text: str, title: str = "Fill all holes in this file") -> Message:
    uri = client.open(text)
    params = {"textDocument": {"uri": uri}, "range": HOLE, "context": {"diagnostics": []}}
    actions = client.ask("textDocument/codeAction", params)
    return next(action for action in actions if action["title"] == title)


def bars(client: Client, kind: str) -> list[Any]:
    shown = client.notifications("$/progress")
    return [params for params in shown if params["value"].get("kind") == kind]


def test_a_long_fill_has_a_bar_that_stops_it(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--step-delay", "0.2", "--steps", "60")
    client.initialize()
    client.wait_for_message("window/logMessage", "is ready")
    request = client.request("codeAction/resolve", offer(client, "x = ⟨fill⟩\n"))
    report = client.wait_for_notification(
        "$/progress", lambda params: params["value"].get("kind") == "report"
    )
    begun = next(one for one in bars(client, "begin") if one["token"] == report["token"])
    assert begun["value"]["cancellable"] is True
    assert begun["value"]["title"] == "dgemma: Fill all holes in this file"
    assert "% sure" in report["value"]["message"]
    client.notify("window/workDoneProgress/cancel", {"token": report["token"]})
    with pytest.raises(ResponseError, match="It was cancelled") as error:
        client.answer(request)
    assert error.value.code == -32802 or error.value.code == -32800
    log.await_entries("cancel")
    client.wait_for(lambda _: any(one["token"] == report["token"] for one in bars(client, "end")))


def test_loading_can_be_stopped_and_the_next_request_loads_again(
    start_server: StartServer, log: WorkerLog
) -> None:
    client = start_server("--load-delay", "2")
    client.initialize(options={"status": True})
    begun = client.wait_for_notification("$/progress")
    assert begun["value"]["cancellable"] is True
    log.await_entries("started")
    client.notify("window/workDoneProgress/cancel", {"token": begun["token"]})
    end = client.wait_for_notification("$/progress", lambda params: params["value"]["kind"] == "end")
    assert end["value"]["message"] == "Loading was stopped; the next request loads the model."
    stopped = {"state": "silent", "reason": "loading the model was stopped"}
    client.wait_for_notification("dgemma/status", lambda params: params == stopped)
    assert log.entries("ready") == []
    assert client.complete(client.open(LINE), 1, 4)
    assert len(log.entries("started")) == 2
    assert client.shut_down() == 0
    assert client.stderr == ""


def test_a_quick_fill_has_no_bar(start_server: StartServer) -> None:
    client = start_server()
    client.initialize()
    client.wait_for_notification("$/progress", lambda params: params["value"]["kind"] == "end")
    assert client.ask("codeAction/resolve", offer(client, "x = ⟨fill⟩\n"))["edit"]
    assert len(bars(client, "begin")) == 1, "that of loading"


def test_drafts_come_to_whoever_wants_them(start_server: StartServer) -> None:
    client = start_server("--text", "value_{n}", "--step-delay", "0.01")
    client.initialize()
    action = offer(client, "x = ⟨fill⟩\ny = ⟨fill⟩\n")
    action["data"]["partialResultToken"] = "drafts-1"
    client.ask("codeAction/resolve", action)
    drafts = [one["value"] for one in client.notifications("$/progress") if one["token"] == "drafts-1"]
    assert [draft["step"] for draft in drafts] == [1, 2, 3, 4]
    assert drafts[-1]["final"] is True
    assert drafts[-1]["texts"] == ["value_0", "value_1"]
    for draft in drafts:
        assert [(one["start"]["line"], one["start"]["character"]) for one in draft["ranges"]] == [
            (0, 4),
            (1, 4),
        ]


# Notebooks

NOTEBOOK_URI = "file:///private/a.ipynb"
NOTEBOOK: Message = {**CAPABILITIES, "notebookDocument": {"synchronization": {}}}


def cell(number: int, text: str, language: str = "python") -> Message:
    return {"uri": f"notebook:a.ipynb#{number}", "languageId": language, "version": 1, "text": text}


def open_notebook(client: Client, *cells: Message) -> None:
    structure = [{"kind": 2, "document": one["uri"]} for one in cells]
    notebook = {"uri": NOTEBOOK_URI, "notebookType": "jupyter", "version": 1, "cells": structure}
    client.notify(
        "notebookDocument/didOpen", {"notebookDocument": notebook, "cellTextDocuments": list(cells)}
    )


def change_notebook(client: Client, version: int, **cells: object) -> None:
    document = {"uri": NOTEBOOK_URI, "version": version}
    client.notify("notebookDocument/didChange", {"notebookDocument": document, "change": {"cells": cells}})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_a_cell_sees_the_cells_around_it(start_server: StartServer, log: WorkerLog, encoding: str) -> None:
    client = start_server("--text", "value")
    able = {**NOTEBOOK, "general": {"positionEncodings": [encoding]}}
    assert client.initialize(able)["capabilities"]["notebookDocumentSync"]
    open_notebook(
        client, cell(1, "a = '😋'"), cell(2, "# Text", "markdown"), cell(3, "b = '😋'; c = "), cell(4, "d")
    )
    column = len("b = '😋'; c = ".encode(encoding + ("" if encoding == "utf-8" else "-le")))
    column //= {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    (item,) = client.complete("notebook:a.ipynb#3", 0, column)
    assert item["range"]["start"] == {"line": 0, "character": column}
    assert log.entries("fill")[-1]["segments"] == ["a = '😋'\n\nb = '😋'; c = ", "\n\nd"]


def test_cells_come_go_move_and_change(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--text", "value")
    client.initialize(NOTEBOOK)
    open_notebook(client, cell(1, "a = 1"), cell(2, "b = "))
    array = {"start": 1, "deleteCount": 1, "cells": [{"kind": 2, "document": cell(3, "")["uri"]}]}
    structure = {"array": array, "didOpen": [cell(3, "c = ")], "didClose": [{"uri": cell(2, "")["uri"]}]}
    change_notebook(client, 2, structure=structure)
    assert client.complete("notebook:a.ipynb#2", 0, 4) == [], "it was closed"
    place = {"line": 0, "character": 5}
    typed = {"range": {"start": place, "end": place}, "text": "0"}
    content = [{"document": {"uri": cell(1, "")["uri"], "version": 2}, "changes": [typed]}]
    change_notebook(client, 3, textContent=content)
    assert client.complete("notebook:a.ipynb#3", 0, 4)
    assert log.entries("fill")[-1]["segments"] == ["a = 10\n\nc = ", ""]
    closed = [{"uri": cell(number, "")["uri"]} for number in (1, 3)]
    client.notify(
        "notebookDocument/didClose",
        {"notebookDocument": {"uri": NOTEBOOK_URI}, "cellTextDocuments": closed},
    )
    assert client.complete("notebook:a.ipynb#3", 0, 4) == []


@pytest.mark.parametrize("glob", ["*.ipynb", "a.ipynb", "private/"])
def test_an_excluded_notebook_gives_nothing_to_the_worker(
    start_server: StartServer, log: WorkerLog, glob: str
) -> None:
    client = start_server()
    client.initialize(NOTEBOOK, options={"exclude": [glob]})
    open_notebook(client, cell(1, LINE), cell(2, "b = "))
    assert client.complete("notebook:a.ipynb#2", 0, 4) == []
    assert log.entries("fill") == []


# The end


def test_a_document_that_cannot_be_changed_or_has_something_selected_is_left_alone(
    start_server: StartServer, tmp_path: Path
) -> None:
    client = start_server()
    client.initialize(options={"status": True})
    uri = client.open(LINE + fake(text="1"))

    def told() -> Any:
        return client.notifications("dgemma/status")[-1]

    client.notify("dgemma/editorState", {"uri": uri, "selecting": True})
    assert client.complete(uri, 1, 4) == []
    assert told() == {"state": "silent", "reason": "something is selected"}
    assert client.complete(uri, 1, 4, asked=True)
    client.notify("dgemma/editorState", {"uri": uri, "selecting": False, "readOnly": True})
    assert client.complete(uri, 1, 4, asked=True) == []
    assert told() == {"state": "silent", "reason": "the document is read-only"}
    client.notify("dgemma/editorState", {"uri": uri, "readOnly": False})
    assert client.complete(uri, 1, 4)
    file = tmp_path / "read_only.py"
    file.write_text(LINE)
    file.chmod(0o444)
    for other in (file.as_uri(), "git:/src/a.py?HEAD"):
        client.open(LINE, other)
        assert client.complete(other, 1, 4, asked=True) == []
        assert told() == {"state": "silent", "reason": "the document is read-only"}
    client.notify("dgemma/editorState", {"selecting": 3})
    client.notify("dgemma/editorState", [1])
    client.notify("dgemma/editorState", {"uri": "file:///never/opened.py", "selecting": True})
    time.sleep(0.1)
    assert client.complete(uri, 1, 4)
