"""The worker's protocol, spoken to `serve` over pipes with a tiny network."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dgemma_model.worker import serve
from tests.model.tiny import infiller

FILL = {
    "id": 1,
    "method": "fill",
    "segments": ["def add(a, b):\n    return ", "\n"],
    "present": [""],
    "options": {"steps": 2, "seed": 0, "strength": 1.0, "alternatives": 2},
}


def answers(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    """What the worker writes until every fill has ended; only then its stdin ends."""
    reading, writing = os.pipe()
    asking = os.fdopen(writing, "w")
    out = _Lines(asking.close, sum(request["method"] != "cancel" for request in requests))
    for request in requests:
        asking.write(json.dumps(request) + "\n")
    asking.flush()
    with os.fdopen(reading) as lines:
        serve(infiller(), lines, out)
    return out.messages


class _Lines(io.StringIO):
    def __init__(self, done: Callable[[], None], fills: int) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self._done, self._left = done, fills

    def write(self, line: str) -> int:
        message = json.loads(line)
        self.messages.append(message)
        self._left -= message["event"] in {"cancelled", "error"} or message.get("final", False)
        if self._left == 0:
            self._done()
        return len(line)


def test_it_is_ready_then_answers_with_drafts_of_which_the_last_is_final() -> None:
    ready, *drafts = answers(FILL)
    assert ready["event"] == "ready"
    assert ready["info"]["dtype"] in {"float32", "bfloat16"}
    assert all(draft["event"] == "draft" and draft["id"] == 1 for draft in drafts)
    assert [draft["final"] for draft in drafts] == [False] * (len(drafts) - 1) + [True]


def test_a_cancelled_request_is_answered_as_cancelled_and_the_next_one_is_filled() -> None:
    _, *rest = answers({"id": 1, "method": "cancel"}, FILL, FILL | {"id": 2})
    assert rest[0] == {"id": 1, "event": "cancelled"}
    assert rest[-1]["id"] == 2
    assert rest[-1]["final"]


def test_an_impossible_request_is_answered_with_one_sentence() -> None:
    _, answer = answers(FILL | {"segments": ["a"]})
    assert answer["event"] == "error"
    assert "segments" in answer["message"]


def test_a_model_that_cannot_be_loaded_ends_the_process_with_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dgemma_model.worker", "--model", str(tmp_path / "nowhere")]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, input="", timeout=60, env=dict(os.environ)
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["event"] == "failed"


def test_the_end_of_stdin_cancels_the_fill_that_runs() -> None:
    out = io.StringIO()
    serve(infiller(), io.StringIO(json.dumps(FILL) + "\n"), out)
    assert json.loads(out.getvalue().splitlines()[-1])["event"] in {"cancelled", "draft"}


def test_proofreading_answers_for_each_span() -> None:
    text = "result = compute(first, second)\n" * 4
    spans = [[line * 32, line * 32 + 31] for line in range(3)]
    request = {"id": 7, "method": "proofread", "text": text, "quiet": [[0, 6]], "spans": spans}
    _, *rest = answers(request, FILL)
    read = [one for one in rest if one["id"] == 7]
    assert [(one["event"], one["done"], one["final"]) for one in read] == [
        ("hints", 1, False),
        ("hints", 2, False),
        ("hints", 3, True),
    ]
    assert all(len(hint) == 4 for one in read for hint in one["hints"])
    assert rest[-1]["id"] == 1
