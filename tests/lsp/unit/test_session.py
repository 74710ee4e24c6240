"""The session with an engine in this process: who waits, who gives way, who is told what."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field

import pytest

from dgemma_lsp.engines.base import Cancelled, EngineError, FillCancelled
from dgemma_lsp.fill.pipeline import Gate, Outcome
from dgemma_lsp.lsp.session import Job, RequestKey, Session, Superseded, Urgency
from dgemma_lsp.lsp.status import State, Status
from dgemma_lsp.text.masked import MaskedDocument
from dgemma_model.protocol import Draft, EngineInfo, FillOptions, FillRequest
from tests.fakes import FakeEngine, draft_of, masked

pytestmark = pytest.mark.timeout(20)

OPTIONS = FillOptions()
GATE = Gate(0.0, parse=False)

A, B = (RequestKey(Job.COMPLETION, uri) for uri in ("file:///a.py", "file:///b.py"))
REWRITE = RequestKey(Job.REWRITE, "file:///a.py")


@dataclass
class GatedEngine:
    """An engine that goes on denoising until the test lets it finish; it fills with what stands before the region.

    Attributes:
        begun: what stands before the region of each fill that was begun.
        allowed: the same, of fills that may be finished.
        stopped: how many fills ended because they were cancelled.
        loading: set when the model is loaded.
    """

    begun: list[str] = field(default_factory=list)
    allowed: set[str] = field(default_factory=set)
    stopped: int = 0
    loading: threading.Event = field(default_factory=threading.Event)

    def load(self) -> EngineInfo:
        self.loading.wait(10)
        return EngineInfo("gated", "none", 0, "cpu", "none")

    def drafts(self, request: FillRequest, cancelled: Cancelled) -> Iterator[Draft]:
        before = request.segments[0]
        self.begun.append(before)
        while not cancelled():
            if before in self.allowed:
                yield draft_of([before])
                return
            time.sleep(0.002)
        self.stopped += 1
        raise FillCancelled

    def close(self) -> None:
        self.loading.set()


def asking(
    session: Session, text: str = "old«»", key: RequestKey = A, urgency: Urgency = Urgency.AUTOMATIC
) -> asyncio.Task[Outcome]:
    return asyncio.create_task(session.fill(masked(text), OPTIONS, GATE, key, urgency))


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 10))


def text_of(outcome: Outcome) -> str:
    assert outcome.best is not None
    return outcome.best.texts[0]


def test_a_fill_goes_through_the_pipeline() -> None:
    engine = FakeEngine(fills=[["x + 1"], ["   "]], confidence=0.4)
    session = Session(engine)

    async def test() -> None:
        document: MaskedDocument = masked("y = «»\n")
        outcome = await session.fill(document, FillOptions(seed=3), Gate(0.3), A)
        assert text_of(outcome) == "x + 1"
        rejected = await session.fill(document, FillOptions(), Gate(0.5), A)
        assert rejected.best is None

    run(test)
    assert engine.requests[0].options == FillOptions(seed=3, single_line=True)
    session.close()
    assert engine.closed


def test_the_newest_request_of_a_document_wins() -> None:
    engine = GatedEngine()
    session = Session(engine)

    async def test() -> None:
        older = asking(session, "old«»", urgency=Urgency.ASKED)
        await until(lambda: engine.begun)
        newer = asking(session, "new«»", urgency=Urgency.ASKED)
        with pytest.raises(Superseded):
            await older
        await until(lambda: engine.stopped == 1)
        engine.allowed.add("new")
        assert text_of(await newer) == "new"

    run(test)
    session.close()


def test_of_a_storm_of_requests_one_is_answered_and_no_other_goes_on() -> None:
    engine = GatedEngine()
    session = Session(engine)

    async def test() -> None:
        requests = []
        for number in range(20):
            requests.append(asking(session, f"text{number}«»"))
            await asyncio.sleep(0)
        await until(lambda: engine.begun)
        engine.allowed.add("text19")
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes[:-1]] == [Superseded] * 19
        assert isinstance(outcomes[-1], Outcome)
        assert text_of(outcomes[-1]) == "text19"

    run(test)
    assert engine.begun[-1] == "text19"
    assert engine.stopped == len(engine.begun) - 1
    session.close()


def test_an_automatic_request_gives_way_to_one_of_another_document() -> None:
    engine = GatedEngine()
    session = Session(engine)

    async def test() -> None:
        older = asking(session, key=A, urgency=Urgency.AUTOMATIC)
        await until(lambda: engine.begun)
        newer = asking(session, "new«»", key=B, urgency=Urgency.AUTOMATIC)
        with pytest.raises(Superseded):
            await older
        engine.allowed.add("new")
        assert text_of(await newer) == "new"

    run(test)
    session.close()


def test_what_the_user_asked_for_is_finished_before_an_automatic_request() -> None:
    engine = GatedEngine()
    session = Session(engine)

    async def test() -> None:
        asked = asking(session, "asked«»", key=REWRITE, urgency=Urgency.ASKED)
        await until(lambda: engine.begun)
        automatic = asking(session, "automatic«»", key=A)
        await asyncio.sleep(0.05)
        assert len(engine.begun) == 1, "two fills ran at once"
        engine.allowed |= {"asked", "automatic"}
        assert text_of(await asked) == "asked"
        assert text_of(await automatic) == "automatic"

    run(test)
    session.close()


def test_what_is_computed_ahead_ends_when_anything_else_is_wanted() -> None:
    engine = GatedEngine()
    session = Session(engine)

    async def test() -> None:
        for urgency in (Urgency.AHEAD, Urgency.AUTOMATIC, Urgency.ASKED):
            ahead = asking(session, key=A, urgency=Urgency.AHEAD)
            await until(lambda: len(engine.begun) == engine.stopped + 1)
            newer = asking(session, "new«»", key=B, urgency=urgency)
            with pytest.raises(Superseded):
                await ahead
            newer.cancel()
            await until(lambda: len(engine.begun) == engine.stopped)

    run(test)
    session.close()


@pytest.mark.parametrize("urgency", [Urgency.AUTOMATIC, Urgency.ASKED])
def test_nothing_ends_because_something_is_computed_ahead(urgency: Urgency) -> None:
    engine = GatedEngine()
    session = Session(engine)

    async def test() -> None:
        wanted = asking(session, "wanted«»", urgency=urgency)
        await until(lambda: engine.begun)
        ahead = asking(session, "ahead«»", urgency=Urgency.AHEAD)
        await asyncio.sleep(0.05)
        engine.allowed |= {"wanted", "ahead"}
        assert text_of(await wanted) == "wanted"
        assert text_of(await ahead) == "ahead"

    run(test)
    session.close()


def test_cancelling_frees_the_caller_at_once_and_stops_the_denoising() -> None:
    engine = GatedEngine()
    session = Session(engine)

    async def test() -> None:
        request = asking(session)
        await until(lambda: engine.begun)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await until(lambda: engine.stopped == 1)

    run(test)
    session.close()


def test_a_request_waits_for_the_model_and_can_be_superseded_meanwhile() -> None:
    engine = GatedEngine()
    session = Session(engine)

    async def test() -> None:
        loading = asyncio.create_task(session.load())
        await asyncio.sleep(0)
        older = asking(session, "old«»")
        await asyncio.sleep(0)
        newer = asking(session, "new«»")
        with pytest.raises(Superseded):
            await older
        assert session.status.state is State.LOADING
        engine.loading.set()
        engine.allowed.add("new")
        assert (await loading).name == "gated"
        assert session.status.state is State.READY
        assert text_of(await newer) == "new"
        assert len(engine.begun) == 1

    run(test)
    session.close()


def test_a_model_that_cannot_be_loaded_is_a_state_with_a_reason() -> None:
    session = Session(FakeEngine(load_error="There is no model called 'x'."))

    async def test() -> None:
        with pytest.raises(EngineError):
            await session.load()
        assert session.status == Status(State.ERROR, "There is no model called 'x'.")
        await session.fill(masked("«»"), OPTIONS, GATE, A)
        assert session.status == Status(State.READY), "an engine that fills has not failed"

    run(test)
    session.close()


def test_an_engine_that_fails_can_be_asked_again() -> None:
    engine = FakeEngine(fails_at_step=2)
    session = Session(engine)

    async def test() -> None:
        with pytest.raises(EngineError, match="died"):
            await session.fill(masked("«»"), OPTIONS, GATE, A)
        engine.fails_at_step = None
        assert text_of(await session.fill(masked("«»"), OPTIONS, GATE, A)) == "x"

    run(test)
    session.close()


def test_closing_stops_the_fill_in_flight() -> None:
    engine = GatedEngine()
    session = Session(engine)

    async def test() -> None:
        request = asking(session)
        await until(lambda: engine.begun)
        await asyncio.to_thread(session.close)
        with pytest.raises((Superseded, asyncio.CancelledError)):
            await request

        await until(lambda: engine.stopped == 1)

    run(test)
