"""Measures the language server with long files, with typing along a suggestion, and in a storm of keystrokes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from bench.figures import Figure, percentile, spread
from bench.files import LONG
from bench.keystrokes import BETWEEN_KEYS, Place, places
from bench.lsp import Client
from bench.measurements import KEYSTROKES
from bench.processes import Stopwatch, server
from bench.warm import sized
from tools.drivers.client import Client as Editor
from tools.drivers.client import ResponseError, server_command
from tools.drivers.fake_worker import WorkerLog

SMALL_LINES, LARGE_LINES = 300, 20_000
LONG_PLACES = 20
"""The places where somebody types; the 95th percentile needs more keys than the median."""
STORM_KEYS, STORM_SECONDS = 20, 1.0

_URI = "file:///bench/long.py"


def long_files() -> list[Figure]:
    """Compare warm automatic completions in a file of 300 lines with those in one of 20,000.

    Two servers take turns key by key, so that whatever else the machine does slows both. No suggestion is sure enough
    to be shown, so that every key is a fill, and none is answered from an earlier suggestion.
    """
    unsure = {"automatic": {"minConfidence": 1.0}}
    times: Mapping[int, list[float]] = {SMALL_LINES: [], LARGE_LINES: []}
    with server(unsure) as one, server(unsure) as other:
        files = [_LongFile(client, lines) for client, lines in zip((one, other), times, strict=True)]
        for place in places(LONG.read_text("utf-8"), LONG_PLACES, KEYSTROKES):
            for file in files:
                file.begin(place)
            for typed in range(KEYSTROKES):
                for file in files:
                    times[file.lines].append(file.type(typed))
    small, large = times.values()
    longer = "the longer file takes so many times as long"
    return [
        *spread(f"completion in {SMALL_LINES} lines, warm, automatic", small, "ms", 100, 200),
        *spread(f"completion in {LARGE_LINES:,} lines, warm, automatic", large, "ms"),
        Figure(f"{longer}, p50", median(large) / median(small), "times", 1.2),
        Figure(f"{longer}, p95", percentile(large, 0.95) / percentile(small, 0.95), "times", 1.2),
    ]


class _LongFile:
    """A file of so many lines, in the middle of which somebody types, with a server of its own."""

    def __init__(self, client: Client, lines: int) -> None:
        self._client, self.lines = client, lines
        client.await_model()

    def begin(self, place: Place) -> None:
        self._place = sized(place, self.lines)
        self._client.show(_URI, self._place.text)
        self._client.complete(_URI, self._place.line, self._place.character, False)

    def type(self, typed: int) -> float:
        """Type a key, and return the milliseconds until the answer."""
        time.sleep(BETWEEN_KEYS)
        watch, place = Stopwatch(), self._place
        self._client.insert(_URI, place.line, place.character + typed, place.typed[typed])
        self._client.complete(_URI, place.line, place.character + typed + 1, False)
        return watch.milliseconds


def typing_along() -> list[Figure]:
    """Time answers while somebody types what was suggested, in a file of 20,000 lines; the model is not asked."""
    small = LONG.read_text("utf-8")
    text = small * (LARGE_LINES // small.count("\n"))
    line, times = text.count("\n"), []
    # A line that occurs in the file, so that a good part of it is suggested.
    begun = max(small.splitlines(), key=len)[:24]
    with server() as client:
        client.await_model()
        uri = "file:///bench/typing.py"
        client.show(uri, f"{text}{begun}\n")
        items = client.complete(uri, line, len(begun), True)
        suggested = max((item["insertText"].split("\n")[0] for item in items), key=len, default="")
        for typed, character in enumerate(suggested[:-1]):
            watch = Stopwatch()
            client.insert(uri, line, len(begun) + typed, character)
            client.complete(uri, line, len(begun) + typed + 1, True)
            times.append(watch.milliseconds)
    if not times:
        raise RuntimeError("The model suggested nothing to type along.")
    return spread("typing along a suggestion in 20,000 lines", times, "ms", 5)


def storm() -> list[Figure]:
    """Send twenty requests in a second, each of which cancels the one before, and see which are answered.

    The fake worker notes when each of its steps starts; a fill takes four steps of 50 ms.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = WorkerLog(Path(folder) / "log")
        editor = Editor(server_command("--log", str(log.path), "--step-delay", "0.05", "--steps", "4"))
        editor.initialize()
        log.await_entries("ready")
        uri = editor.open("\n")
        requests, dead = list[int](), list[float]()
        for key in range(STORM_KEYS):
            place = {"line": 0, "character": key}
            editor.change(uri, key + 2, {"range": {"start": place, "end": place}, "text": "a"})
            if requests:
                editor.cancel(requests[-1])
                dead.append(time.time())
            requests.append(editor.request_completion(uri, 0, key + 1))
            time.sleep(STORM_SECONDS / STORM_KEYS)
        answered = sum(map(bool, (_items(editor, request) for request in requests)))
        late = [_latest(log, "a" * (key + 1), when) for key, when in enumerate(dead)]
        editor.close()
    return [
        Figure("storm of 20 requests in a second: answered with items", answered, "requests", 1),
        Figure("latest denoising step of a dead request, behind its cancellation", max(late), "ms", 50),
    ]


def _items(editor: Editor, request: int) -> list[object]:
    try:
        found: list[object] = editor.answer(request)["items"]
    except ResponseError:
        return []
    return found


def _latest(log: WorkerLog, typed: str, cancelled: float) -> float:
    """Return the milliseconds from a cancellation to the start of the last step for that text; 0 if there is none."""
    fills = {entry["id"] for entry in log.entries("fill") if entry["segments"][0] == typed}
    begun: list[float] = [entry["time"] for entry in log.entries("step") if entry["id"] in fills]
    return max([0.0, *(1000 * (when - cancelled) for when in begun)])
