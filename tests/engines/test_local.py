"""The local engine against a worker process without a model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dgemma_lsp.engines.base import EngineError, FillCancelled
from dgemma_lsp.engines.local import InProcessEngine, LocalEngine
from dgemma_lsp.engines.worker_process import worker_command
from dgemma_model.errors import Cancelled, ModelError
from dgemma_model.protocol import Draft, EngineInfo, Fill, FillOptions, FillRequest
from tools.drivers.fake_worker import FAKE_WORKER, WorkerLog

pytestmark = pytest.mark.timeout(20)

SEGMENTS = ("x = ", "\n")
PRESENT = ("",)

MakeEngine = Callable[..., LocalEngine]


@pytest.fixture
def log(tmp_path: Path) -> WorkerLog:
    return WorkerLog(tmp_path / "worker.log")


@pytest.fixture
def make_engine(log: WorkerLog) -> Iterator[MakeEngine]:
    engines = []

    def make(*arguments: str) -> LocalEngine:
        engine = LocalEngine(command=[sys.executable, str(FAKE_WORKER), "--log", str(log.path), *arguments])
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


def fill(engine: LocalEngine, cancelled: Callable[[], bool] = lambda: False, steps: int = 2) -> list[Draft]:
    return list(engine.drafts(FillRequest(SEGMENTS, PRESENT, FillOptions(steps=steps)), cancelled))


def test_every_step_is_a_draft_and_the_last_one_is_final(make_engine: MakeEngine) -> None:
    drafts = fill(make_engine("--text", "😋"), steps=3)
    assert [draft.step for draft in drafts] == [1, 2, 3]
    assert [draft.final for draft in drafts] == [False, False, True]
    assert drafts[-1].alternatives[0][0].text == "😋"


def test_the_worker_gets_segments_present_text_and_options(make_engine: MakeEngine, log: WorkerLog) -> None:
    options = FillOptions(steps=1, seed=7, strength=0.5, alternatives=3)
    engine = make_engine()
    list(engine.drafts(FillRequest(("a\n", "😋", "c"), ("old", "older"), options), lambda: False))
    request = log.entries("fill")[0]
    assert request["segments"] == ["a\n", "😋", "c"]
    assert request["present"] == ["old", "older"]
    sent = {"steps": 1, "seed": 7, "strength": 0.5, "alternatives": 3, "single_line": False}
    assert request["options"] == sent
    assert request["context"] == []


def test_a_worker_that_takes_a_dead_one_s_place_gets_whole_texts(
    make_engine: MakeEngine, log: WorkerLog, tmp_path: Path
) -> None:
    engine = make_engine("--die-at-step", "1", "--die-once", str(tmp_path / "once"))
    segments = ("value = 1\n" * 1000, "\nother = 2" * 1000)
    with pytest.raises(EngineError):
        list(engine.drafts(FillRequest(segments, ("",)), lambda: False))
    list(engine.drafts(FillRequest(segments, ("",)), lambda: False))
    assert [entry["segments"] for entry in log.entries("fill")] == [list(segments)] * 2


def test_the_worker_is_started_by_the_first_request_and_kept(make_engine: MakeEngine, log: WorkerLog) -> None:
    engine = make_engine()
    assert not log.path.exists()
    fill(engine)
    fill(engine)
    assert len(log.entries("started")) == 1


def test_load_says_what_is_loaded(make_engine: MakeEngine) -> None:
    assert make_engine("--model", "tiny").load() == EngineInfo("local", "tiny", 1000, "cpu", "float32")


def test_model_and_device_reach_the_worker_process() -> None:
    command = worker_command("some/model", "cuda")
    assert command[1:] == ["-P", "-m", "dgemma_model.worker", "--device", "cuda", "--model", "some/model"]


def test_lines_that_are_no_messages_are_skipped(make_engine: MakeEngine) -> None:
    assert fill(make_engine("--garbage"))[-1].final


def test_cancelling_ends_the_fill_at_once_also_while_a_step_runs(
    make_engine: MakeEngine, log: WorkerLog
) -> None:
    engine = make_engine("--step-delay", "1.5")
    engine.load()
    cancelled = threading.Event()
    threading.Timer(0.1, cancelled.set).start()
    started = time.monotonic()
    with pytest.raises(FillCancelled):
        fill(engine, cancelled.is_set, steps=50)
    assert time.monotonic() - started < 1.4, "the fill waited for the end of the step"
    log.await_entries("cancel")
    quick = ('# fake: {"step_delay": 0}\n', "")
    list(engine.drafts(FillRequest(quick, PRESENT, FillOptions(steps=1)), lambda: False))
    assert [entry["step"] for entry in log.entries("step") if entry["id"] == 1] == [1]


def test_a_cancel_while_the_model_loads_ends_the_fill_and_keeps_the_worker(
    make_engine: MakeEngine, log: WorkerLog
) -> None:
    engine = make_engine("--load-delay", "0.5")
    with pytest.raises(FillCancelled):
        fill(engine, lambda: True)
    assert fill(engine)[-1].final
    assert len(log.entries("started")) == 1
    assert len(log.entries("fill")) == 1


def test_late_lines_of_a_cancelled_fill_are_ignored(make_engine: MakeEngine) -> None:
    engine = make_engine("--deaf", "--step-delay", "0.05", "--text", "after_{last}")
    engine.load()
    stop = threading.Event()
    drafts = engine.drafts(FillRequest(("old ", ""), PRESENT, FillOptions(steps=3)), stop.is_set)
    next(drafts)
    stop.set()
    with pytest.raises(FillCancelled):
        next(drafts)
    answers = list(engine.drafts(FillRequest(("new ", ""), PRESENT, FillOptions(steps=3)), lambda: False))
    assert {draft.alternatives[0][0].text for draft in answers} == {"after_new"}


def test_dropping_the_iterator_cancels_the_fill(make_engine: MakeEngine, log: WorkerLog) -> None:
    engine = make_engine("--step-delay", "0.1")
    drafts = engine.drafts(FillRequest(SEGMENTS, PRESENT, FillOptions(steps=50)), lambda: False)
    next(drafts)
    drafts.close()  # type: ignore[attr-defined]
    log.await_entries("cancel")
    assert fill(engine, steps=1)[-1].final
    assert len([entry for entry in log.entries("step") if entry["id"] == 1]) < 5


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_worker_is_named_and_the_next_request_starts_another(
    make_engine: MakeEngine, log: WorkerLog, tmp_path: Path
) -> None:
    engine = make_engine("--die-at-step", "2", "--die-by", "kill", "--die-once", str(tmp_path / "died"))
    with pytest.raises(
        EngineError, match=r"was killed by SIGKILL, perhaps because the memory ran out; it is"
    ):
        fill(engine)
    assert fill(engine)[-1].final
    assert len(log.entries("started")) == 2


def test_a_crash_is_reported_with_status_and_last_words(make_engine: MakeEngine) -> None:
    engine = make_engine("--die-at-step", "1", "--last-words", "CUDA error: device lost")
    with pytest.raises(EngineError, match=r"ended with exit status 3 \(CUDA error: device lost\)"):
        fill(engine)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_worker_killed_between_requests_is_replaced_without_a_word(
    make_engine: MakeEngine, log: WorkerLog
) -> None:
    engine = make_engine()
    fill(engine)
    os.kill(log.entries("started")[0]["pid"], signal.SIGTERM)
    time.sleep(0.5)
    assert fill(engine)[-1].final


def test_a_worker_that_dies_again_and_again_is_not_started_at_each_request(
    make_engine: MakeEngine, log: WorkerLog
) -> None:
    engine = make_engine("--die-at-step", "0")
    messages = set()
    for _ in range(20):
        with pytest.raises(EngineError) as caught:
            fill(engine)
        messages.add(str(caught.value))
    assert len(log.entries("started")) == 2
    assert len(messages) == 1, "a message that changes would be shown to the user again"


def test_a_model_that_cannot_be_loaded_is_reported_in_the_workers_words(make_engine: MakeEngine) -> None:
    engine = make_engine("--fail", "There is no model called 'x'.")
    with pytest.raises(EngineError, match=r"^There is no model called 'x'\.$"):
        engine.load()


def test_a_fill_that_fails_leaves_the_worker_running(make_engine: MakeEngine, log: WorkerLog) -> None:
    engine = make_engine("--error", "The document is too long.")
    for _ in range(2):
        with pytest.raises(EngineError, match=r"^The document is too long\.$"):
            fill(engine)
    assert len(log.entries("started")) == 1


def test_a_command_that_does_not_exist_is_an_engine_error() -> None:
    with pytest.raises(EngineError, match="cannot be started"):
        LocalEngine(command=["/no/such/worker"]).load()


def test_requests_of_several_threads_are_served_one_after_the_other(
    make_engine: MakeEngine, log: WorkerLog
) -> None:
    engine = make_engine("--step-delay", "0.02")
    finals = []
    threads = [threading.Thread(target=lambda: finals.append(fill(engine)[-1].final)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert finals == [True] * 5
    assert [entry["id"] for entry in log.entries("step")] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_closing_ends_the_worker_and_the_fill_in_flight(make_engine: MakeEngine, log: WorkerLog) -> None:
    engine = make_engine("--step-delay", "30")

    def close_during_a_step() -> None:
        log.await_entries("step")
        engine.close()

    threading.Thread(target=close_during_a_step).start()
    with pytest.raises(EngineError, match="closed"):
        fill(engine)
    with pytest.raises(EngineError, match="closed"):
        fill(engine)
    log.await_entries("ended")
    engine.close()


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_closing_ends_a_worker_that_does_not_listen(make_engine: MakeEngine, log: WorkerLog) -> None:
    engine = make_engine("--deaf")
    engine.load()
    pid = log.entries("started")[0]["pid"]
    engine.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_worker_ends_when_its_parent_is_killed(tmp_path: Path, log: WorkerLog) -> None:
    command = [sys.executable, str(FAKE_WORKER), "--log", str(log.path)]
    code = f"""
import time
from dgemma_lsp.engines.local import LocalEngine
LocalEngine(command={command!r}).load()
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    log.await_entries("ready")
    parent.kill()
    parent.wait()
    log.await_entries("ended")


class TestInProcess:
    @pytest.fixture
    def model_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A model package whose worker has no model."""
        worker: Any = types.ModuleType("dgemma_model.worker")
        worker.load = load_fake
        monkeypatch.setitem(sys.modules, worker.__name__, worker)

    def test_drafts_come_from_the_model_package(self, model_package: None) -> None:
        engine = InProcessEngine("tiny", "cpu")
        assert engine.load().model == "tiny"
        drafts = list(engine.drafts(FillRequest(SEGMENTS, PRESENT, FillOptions(steps=4)), lambda: False))
        assert drafts[-1].alternatives[0][0].text == "x =  4"

    def test_errors_of_the_model_package_become_engine_errors(self, model_package: None) -> None:
        engine = InProcessEngine("missing", "cpu")
        with pytest.raises(EngineError, match=r"^There is no such model\.$"):
            engine.load()

    def test_a_cancelled_fill_says_so(self, model_package: None) -> None:
        engine = InProcessEngine()
        with pytest.raises(FillCancelled):
            list(engine.drafts(FillRequest(SEGMENTS, PRESENT, FillOptions()), lambda: True))

    def test_a_missing_package_is_one_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "dgemma_model.worker", None)
        with pytest.raises(EngineError, match="cannot be imported"):
            InProcessEngine().load()


class FakeFiller:
    """What a filler promises, without a model."""

    def __init__(self, model: str | None) -> None:
        self.info = EngineInfo("local", str(model), 1, "cpu", "float32")

    def drafts(self, request: FillRequest, cancelled: Callable[[], bool]) -> Iterator[Draft]:
        if cancelled():
            raise Cancelled
        text = f"{request.segments[0]} {request.options.steps}"
        yield Draft(1, True, ((Fill(text, 1.0),),), 0, 0, 0.0)


def load_fake(model: str | None, device: str) -> FakeFiller:
    if model == "missing":
        raise ModelError("There is no such model.")
    return FakeFiller(model)


def test_nothing_here_imports_torch() -> None:
    code = "import sys, dgemma_lsp.engines.local; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
