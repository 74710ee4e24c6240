"""One engine for many requests: the newest request wins, and the model loads in the background.

The engine blocks, so it works in a thread of its own, one fill at a time. An `await` here can be given up at any
moment: the caller is free at once, and the engine stops before its next denoising step.

This module knows nothing about the protocol.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import Enum, auto
from typing import Any, NamedTuple

from dgemma_lsp.engines.base import Cancelled, Engine, EngineError, FillCancelled
from dgemma_lsp.fill import pipeline
from dgemma_lsp.fill.pipeline import Gate, Outcome
from dgemma_lsp.lsp.status import State, Status
from dgemma_lsp.text.masked import MaskedDocument
from dgemma_model.protocol import Capabilities, Draft, EngineInfo, FillOptions, Hint, ProofreadRequest

PIECE = 8
"""How many lines are proofread before another request may come between."""


class Urgency(Enum):
    """What makes a request give way."""

    AHEAD = auto()
    """Somebody may want it later. It ends when any other request comes, and no other request ends because of it."""
    AUTOMATIC = auto()
    """Nobody has asked for it. It ends when any newer request comes."""
    ASKED = auto()
    """Somebody waits for it. It ends only when a newer request with the same key comes."""


class Job(Enum):
    """What is done with a document."""

    COMPLETION = auto()
    REWRITE = auto()
    PROOFREADING = auto()


class RequestKey(NamedTuple):
    """What a request is about. Of requests with the same key only the newest counts."""

    job: Job
    uri: str


class Superseded(Exception):
    """A newer request has taken the place of this one, or the session has ended."""


class Session:
    """Fills and proofreads for one editor.

    All methods but `close` belong to one event loop.

    Args:
        engine: what does the work; `close` closes it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fill")
        self._requests: list[_Request] = []
        self._status = Status(State.LOADING)
        self._capabilities = Capabilities()

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do; the least that every model can, until it is known which one `load` has loaded."""
        return self._capabilities

    @property
    def status(self) -> Status:
        """LOADING, READY or ERROR, as far as is known. The next fill tries an engine again that has failed."""
        return self._status

    async def load(self) -> EngineInfo:
        """Load the model. Requests that come in the meantime wait for it.

        Raises:
            EngineError: it cannot be loaded.
        """
        try:
            info = await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.load)
        except EngineError as error:
            self._status = Status(State.ERROR, str(error))
            raise
        self._status = Status(State.READY)
        self._capabilities = info.capabilities
        return info

    async def fill(
        self,
        document: MaskedDocument,
        options: FillOptions,
        gate: Gate,
        key: RequestKey,
        urgency: Urgency = Urgency.ASKED,
        on_draft: Callable[[Draft], None] | None = None,
    ) -> Outcome:
        """Fill the regions of a document; cancelling this coroutine stops the denoising.

        Args:
            document: what to fill.
            options: how to denoise.
            gate: what may be shown.
            key: what the request is about.
            urgency: what makes it give way.
            on_draft: called in the event loop after each denoising step, as long as the fill is wanted.

        Raises:
            Superseded: a newer request came.
            EngineError: the engine failed; it can be asked again.
        """
        request = _Request(key, urgency)
        self._make_way(request)
        self._requests.append(request)
        try:
            return await self._outcome(request, document, options, gate, on_draft)
        finally:
            request.stop.set()
            self._requests.remove(request)

    async def proofread(
        self, page: ProofreadRequest, key: RequestKey, on_read: Callable[[int], None] | None = None
    ) -> list[Hint]:
        """Return what may be wrong in a page; cancelling this coroutine stops the reading.

        The page is read in pieces, so that completions need not wait for the whole.

        Args:
            page: what to read.
            key: what the request is about.
            on_read: called with the number of spans that have been read.

        Raises:
            Superseded: a newer request came, or the session has ended.
            EngineError: the engine failed; it can be asked again.
        """
        request, hints, loop = _Request(key, Urgency.ASKED), list[Hint](), asyncio.get_running_loop()
        self._make_way(request)
        self._requests.append(request)
        try:
            for first in range(0, len(page.spans), PIECE):
                piece = replace(page, spans=page.spans[first : first + PIECE])
                hints += await loop.run_in_executor(
                    self._thread, _read, self._engine, piece, request.stop.is_set
                )
                if on_read is not None:
                    on_read(first + len(piece.spans))
        except FillCancelled:
            raise Superseded from None
        finally:
            request.stop.set()
            self._requests.remove(request)
        return hints

    def close(self) -> None:
        """Stop everything and end the engine. Any thread may call this."""
        for request in tuple(self._requests):
            request.stop.set()
        self._engine.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _make_way(self, newer: _Request) -> None:
        for request in self._requests:
            if request.gives_way_to(newer):
                request.supersede()

    async def _outcome(
        self,
        request: _Request,
        document: MaskedDocument,
        options: FillOptions,
        gate: Gate,
        on_draft: Callable[[Draft], None] | None,
    ) -> Outcome:
        loop = asyncio.get_running_loop()

        def tell(draft: Draft) -> None:
            if on_draft is not None and not request.stop.is_set():
                loop.call_soon_threadsafe(on_draft, draft)

        fill = loop.run_in_executor(
            self._thread, _fill, self._engine, document, options, gate, request.stop.is_set, tell
        )
        ends: set[asyncio.Future[Any]] = {fill, request.superseded}
        try:
            # The engine takes a moment to notice that it should stop. Nobody has to wait for that.
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            fill.add_done_callback(_forget)
            if not fill.done():
                fill.cancel()
        if request.superseded.done():
            raise Superseded
        return self._noted(fill)

    def _noted(self, fill: asyncio.Future[Outcome]) -> Outcome:
        try:
            outcome = fill.result()
        except FillCancelled:
            raise Superseded from None  # the session has ended
        # An engine that could not be loaded at first may have been repaired.
        self._status = Status(State.READY)
        return outcome


class _Request:
    """A request that somebody awaits.

    Args:
        key: what the request is about.
        urgency: what makes it give way.

    Attributes:
        stop: read by the engine's thread before every denoising step.
        superseded: done when a newer request takes its place.
    """

    def __init__(self, key: RequestKey, urgency: Urgency) -> None:
        self.key = key
        self.urgency = urgency
        self.stop = threading.Event()
        self.superseded: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def gives_way_to(self, newer: _Request) -> bool:
        if newer.urgency is Urgency.AHEAD:
            return self.urgency is Urgency.AHEAD
        return self.key == newer.key or self.urgency is not Urgency.ASKED

    def supersede(self) -> None:
        self.stop.set()
        if not self.superseded.done():
            self.superseded.set_result(None)


def _fill(
    engine: Engine,
    document: MaskedDocument,
    options: FillOptions,
    gate: Gate,
    cancelled: Cancelled,
    tell: Callable[[Draft], None],
) -> Outcome:
    if cancelled():
        raise FillCancelled
    final: Draft | None = None
    for draft in pipeline.drafts(document, engine, options, cancelled):
        final = draft
        tell(draft)
    assert final is not None, "the pipeline ends with a final draft or with an error"
    return pipeline.outcome(document, final, gate)


def _read(engine: Engine, page: ProofreadRequest, cancelled: Cancelled) -> list[Hint]:
    if cancelled():
        raise FillCancelled
    return [hint for line in engine.hints(page, cancelled) for hint in line]


def _forget(fill: asyncio.Future[Outcome]) -> None:
    """Look at the error of a fill that nobody awaits any longer, so that asyncio does not complain about it."""
    if not fill.cancelled():
        fill.exception()
