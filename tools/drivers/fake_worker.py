"""A worker that speaks the lines of dgemma_model.pipe without a model: it answers what its arguments say.

``python fake_worker.py --text value --step-delay 0.1 --log FILE``; every argument has a default. A document may say
otherwise for its own fills, in a line like ``# fake: {"text": "x", "error": null}``. With ``--log`` each thing that the
worker does is appended to FILE as a JSON line, so that a test can count the steps that were really taken.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dgemma_model.pipe import Receiver, answer_line
from dgemma_model.protocol import (
    Answer,
    Cancel,
    Capabilities,
    Draft,
    EngineInfo,
    Error,
    Failed,
    Fill,
    FillRequest,
    Hint,
    Hints,
    ProofreadRequest,
    Ready,
    Slot,
    WasCancelled,
)

FAKE_WORKER = Path(__file__)


class WorkerLog:
    """The file in which a fake worker notes what it does, for a test to read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, event: str) -> list[dict[str, Any]]:
        # The last line may be incomplete.
        lines = self.path.read_text().split("\n")[:-1] if self.path.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    def await_entries(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until the worker has done something ``count`` times."""
        deadline = time.monotonic() + 15
        while len(self.entries(event)) < count:
            assert time.monotonic() < deadline, f"the worker did not write {event!r} {count} times"
            time.sleep(0.01)
        return self.entries(event)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--text", default="value", help="the fill; {last}: the word before the region, {n}: its number"
    )
    parser.add_argument("--texts", nargs="+", help="one for each alternative, in place of --text")
    parser.add_argument(
        "--follows-instructions", action="store_true", help="an instruction, word by word, is the fill"
    )
    parser.add_argument("--cannot-proofread", action="store_true", help="say so when it is ready")
    parser.add_argument("--confidence", type=float, default=0.9, help="of the first alternative")
    parser.add_argument("--steps", type=int, help="taken for each fill; default: what the request allows")
    parser.add_argument("--load-delay", type=float, default=0, help="seconds before it is ready")
    parser.add_argument("--step-delay", type=float, default=0, help="seconds for each step")
    parser.add_argument("--fail", help="loading fails with this sentence")
    parser.add_argument("--error", help="every fill fails with this sentence")
    parser.add_argument(
        "--die-at-step", type=int, help="end in this step of a fill; 0: before the ready line"
    )
    parser.add_argument("--die-by", choices=["exit", "kill"], default="exit")
    parser.add_argument("--die-once", type=Path, help="die only if this file does not exist, and create it")
    parser.add_argument("--last-words", default="", help="written to stderr before it dies")
    parser.add_argument("--deaf", action="store_true", help="ignore cancel lines and the end of stdin")
    parser.add_argument("--garbage", action="store_true", help="print lines that are no messages, too")
    parser.add_argument("--log", type=Path)
    return parser.parse_args()


class FakeWorker:
    """Takes requests from stdin, answers them one after the other, and notes what it does."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.given = self.args = args
        self.requests: queue.SimpleQueue[tuple[int, FillRequest | ProofreadRequest | Error]] = (
            queue.SimpleQueue()
        )
        self.cancelled: set[int] = set()

    def serve(self) -> None:
        self.log("started", pid=os.getpid())
        threading.Thread(target=self.listen, daemon=True).start()
        time.sleep(self.args.load_delay)
        if self.args.die_at_step == 0:
            self.die()
        if self.args.fail:
            self.say(Failed(self.args.fail))
            return
        self.log("ready")
        able = Capabilities(
            follows_instructions=self.args.follows_instructions, proofreads=not self.args.cannot_proofread
        )
        info = EngineInfo("local", self.args.model or "fake", 1000, self.args.device, "float32", able)
        self.say(Ready(info))
        while True:
            match self.requests.get():
                case (identifier, FillRequest() as request):
                    self.fill(identifier, request)
                case (identifier, ProofreadRequest() as request):
                    self.proofread(identifier, request)
                case (identifier, Error() as error):
                    self.say(error, identifier)

    def proofread(self, identifier: int, request: ProofreadRequest) -> None:
        """Hint at every word that begins with wrong_: it should begin with right_."""
        self.log("proofread", id=identifier, **asdict(request))
        for done, (start, end) in enumerate(request.spans, 1):
            if identifier in self.cancelled:
                self.say(WasCancelled(), identifier)
                return
            time.sleep(self.args.step_delay)
            hints = (
                Hint(start + word.start(), start + word.end(), f"right_{word[1]}", self.args.confidence)
                for word in re.finditer(r"\bwrong_(\w+)", request.text[start:end])
                if not any(a <= start + word.start() < b for a, b in request.quiet)
            )
            self.say(Hints(done, done == len(request.spans), tuple(hints)), identifier)

    def listen(self) -> None:
        receiver = Receiver()
        for line in sys.stdin:
            identifier, request = receiver.read(line)
            if isinstance(request, Cancel):
                self.log("cancel", id=identifier)
                self.cancelled.add(identifier)
            else:
                self.requests.put((identifier, request))
        if self.args.deaf:
            time.sleep(3600)
        try:
            self.log("ended")
        finally:  # a test that has ended has taken its folder along
            os._exit(0)

    def obey(self, request: FillRequest) -> argparse.Namespace:
        """Return the arguments, changed by what the document says about its own fills."""
        said = re.search(r"# fake: (\{.*\})", "".join(request.segments))
        return argparse.Namespace(**{**vars(self.given), **(json.loads(said[1]) if said else {})})

    def fill(self, identifier: int, request: FillRequest) -> None:
        self.args = self.obey(request)
        self.log("fill", id=identifier, **asdict(request))
        started = time.perf_counter()
        steps = self.args.steps or request.options.steps
        for step in range(1, steps + 1):
            if identifier in self.cancelled and not self.args.deaf:
                self.say(WasCancelled(), identifier)
                return
            if self.args.error:
                self.say(Error(self.args.error), identifier)
                return
            if step == self.args.die_at_step:
                self.die()
            self.log("step", id=identifier, step=step)
            time.sleep(self.args.step_delay)
            self.say(self.draft(request, step, step == steps, time.perf_counter() - started), identifier)

    def draft(self, request: FillRequest, step: int, final: bool, seconds: float) -> Draft:
        alternatives = tuple(self.fills(request, rank) for rank in range(request.options.alternatives))
        return Draft(step, final, alternatives, 3, sum(map(len, request.segments)), 1000 * seconds)

    def fills(self, request: FillRequest, rank: int) -> tuple[Fill, ...]:
        confidence = self.args.confidence * 0.9**rank
        texts = [self.text(segment, number, rank) for number, segment in enumerate(request.segments[:-1])]
        if self.args.follows_instructions and request.instruction:
            texts = [request.instruction for _ in texts]
        return tuple(Fill(text, confidence, True, (Slot(text, confidence, True),)) for text in texts)

    def text(self, before: str, number: int, rank: int) -> str:
        words = re.findall(r"\w+", before) or [""]
        pattern = self.args.text + (f"_{rank}" if rank else "")
        if self.args.texts:
            pattern = self.args.texts[rank % len(self.args.texts)]
        return str(pattern.replace("{last}", words[-1]).replace("{n}", str(number)))

    def die(self) -> None:
        once: Path | None = self.args.die_once
        if once is not None:
            if once.exists():
                return
            once.touch()
        print(self.args.last_words, file=sys.stderr, flush=True)
        if self.args.die_by == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(3)

    def say(self, answer: Answer, identifier: int | None = None) -> None:
        if self.args.garbage:
            print("Loading weights: 100%", flush=True)
        print(answer_line(answer, identifier), end="", flush=True)

    def log(self, event: str, **details: Any) -> None:
        if self.args.log:
            with self.args.log.open("a") as log:
                log.write(json.dumps({"event": event, "time": time.time(), **details}) + "\n")


if __name__ == "__main__":
    FakeWorker(arguments()).serve()
