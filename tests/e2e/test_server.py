"""``dgemma-lsp --stdio`` as an editor runs it: a real process, its worker, and the bundled model.

What the model says is not the question here; what is asserted must hold for every fill.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgemma_lsp.engines.local import LocalEngine
from dgemma_model.protocol import Draft, FillOptions, FillRequest
from tools.drivers.client import Client, Message, ResponseError, applied
from tools.drivers.processes import children

pytestmark = pytest.mark.timeout(120)

COMMAND = str(Path(sys.executable).with_name("dgemma-lsp"))

TEXT = """\
def area(width, height):
    size = width * height
    return

def volume(width, height, depth):
    size = width * height * depth
    return size
"""
CURSOR = (2, 10)
CURSOR_OFFSET = TEXT.index("return") + len("return")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    client = Client([COMMAND, "--stdio"])
    client.initialize(options={"alternatives": 8, "languages": ["python", "plaintext"]})
    yield client
    client.close()


def test_initialize_is_answered_before_the_model_is_loaded(client: Client) -> None:
    client.wait_for_message("window/logMessage", "bundled is ready")
    methods = [message.get("method", "answer") for message in client.received]
    assert methods.index("answer") < methods.index("window/logMessage")


def test_completions_change_only_the_insertion_point(client: Client) -> None:
    uri = client.open(TEXT)
    items = client.complete(uri, *CURSOR, asked=True)
    assert items, "of eight fills none ends in its slots"
    for item in items:
        after = applied(TEXT, item)
        assert item["insertText"]
        assert after == TEXT[:CURSOR_OFFSET] + item["insertText"] + TEXT[CURSOR_OFFSET:]


def test_an_automatic_completion_is_one_item_at_most(client: Client) -> None:
    uri = client.open(TEXT)
    assert len(client.complete(uri, *CURSOR)) <= 1


def test_a_rewrite_changes_only_the_selection(client: Client) -> None:
    text = "first: take the red box\nsecond: take the green box\nthird: take the blue box\n"
    item = {"uri": "file:///src/a.txt", "languageId": "plaintext", "version": 3, "text": text}
    client.notify("textDocument/didOpen", {"textDocument": item})
    edits = [edit for line in range(3) for edit in rewritten(client, item["uri"], line)]
    assert edits, "of 24 fills for three selections none was accepted"
    for edit in edits:
        begin = sum(map(len, text.splitlines(keepends=True)[: edit["range"]["start"]["line"]]))
        start, end = text.index("take", begin), text.index("\n", begin)
        assert applied(text, edit) == text[:start] + edit["newText"] + text[end:]


def rewritten(client: Client, uri: str, line: int) -> list[Message]:
    """The edits for a selection that begins before ``take`` and ends with the line's end; none if none was good."""
    start = {"line": line, "character": len(("first: ", "second: ", "third: ")[line])}
    range_ = {"start": start, "end": {"line": line + 1, "character": 0}}
    params = {"textDocument": {"uri": uri}, "range": range_, "context": {"diagnostics": []}}
    action, *_ = client.ask("textDocument/codeAction", params)
    try:
        (change,) = client.ask("codeAction/resolve", action)["edit"]["documentChanges"]
    except ResponseError as error:
        if not error.message.startswith("Nothing better was found. "):
            raise
        return []
    assert change["textDocument"] == {"uri": uri, "version": 3}
    edits: list[Message] = change["edits"]
    return edits


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the worker is found as Linux shows it")
def test_a_killed_worker_is_replaced(client: Client) -> None:
    client.wait_for_message("window/logMessage", "bundled is ready")
    (before,) = children(client.process.pid)
    os.kill(before, signal.SIGKILL)
    # What has been suggested before would be known without a worker.
    uri = client.open("\n" + TEXT)
    # The first request may be the one that finds the worker dead: it is empty, and the user is told.
    answers = [client.complete(uri, CURSOR[0] + 1, CURSOR[1], asked=True) for _ in range(2)]
    assert answers[-1]
    (after,) = children(client.process.pid)
    assert after != before


def test_it_says_good_bye() -> None:
    client = Client([COMMAND, "--stdio"])
    client.initialize()
    assert client.shut_down() == 0
    client.close()


# What typing costs


TYPED = "    for name, value in sorted(measurements.items()):\n        print(name, value)\n"


def test_one_more_character_encodes_at_most_eight_tokens() -> None:
    """Seen at the engine; between two keystrokes the worker encodes ahead what a later one would have to wait for."""
    before, after = (
        "def report(measurements):\n",
        "\n\ndef total(measurements):\n    return sum(measurements)\n",
    )
    engine = LocalEngine()
    try:
        drafts = [last_draft(engine, before + TYPED[:length], after) for length in range(len(TYPED) + 1)]
    finally:
        engine.close()
    first, *typed = drafts
    assert first.encoded_tokens >= first.prompt_tokens - 1
    encoded = [draft.encoded_tokens for draft in typed]
    assert max(encoded) <= 8, encoded
    assert statistics.median(encoded) <= 2


def last_draft(engine: LocalEngine, before: str, after: str) -> Draft:
    request = FillRequest((before, after), ("",), FillOptions(single_line=True))
    *_, last = engine.drafts(request, lambda: False)
    time.sleep(0.03)  # as a very fast typist
    return last


def test_proofreading_replaces_single_words_and_signs_only(client: Client) -> None:
    settings = {"dgemma": {"proofread": {"confidence": 0.0}}}
    client.notify("workspace/didChangeConfiguration", {"settings": settings})
    text = TEXT.replace("width * height\n", "width * hight\n")
    uri = client.open(text, "file:///src/proofread.py")
    client.ask("workspace/executeCommand", {"command": "dgemma.proofread", "arguments": [uri]})
    hints = client.wait_for_notification("textDocument/publishDiagnostics")["diagnostics"]
    assert hints, "whatever it is, something surprises most"
    for hint in hints:
        params = {"textDocument": {"uri": uri}, "range": hint["range"], "context": {"diagnostics": [hint]}}
        (fix,) = [one for one in client.ask("textDocument/codeAction", params) if one["kind"] == "quickfix"]
        (change,) = fix["edit"]["documentChanges"]
        (edit,) = change["edits"]
        assert edit["range"] == hint["range"]
        assert " " not in edit["newText"]
        after = applied(text, edit)
        assert len(after) - len(text) == len(edit["newText"]) - (
            hint["range"]["end"]["character"] - hint["range"]["start"]["character"]
        )
