"""Loads the model in the background while a bar shows it, and another model when the settings name another one."""

from __future__ import annotations

import asyncio

from pygls.exceptions import JsonRpcException

from dgemma_lsp.engines.base import EngineError
from dgemma_lsp.lsp.failures import TURNED_OFF
from dgemma_lsp.lsp.progress import Bars
from dgemma_lsp.lsp.session_holder import SessionHolder
from dgemma_lsp.lsp.status import LOADING, READY, Reason, failed, silent
from dgemma_lsp.lsp.teller import Teller
from dgemma_lsp.settings.settings import LogLevel
from dgemma_model.protocol import EngineInfo


class ModelLoader:
    """Loads the model of the session.

    Args:
        sessions: where the session is.
        bars: show that the model is being loaded.
        teller: tells whether it could be loaded.
    """

    def __init__(self, sessions: SessionHolder, bars: Bars, teller: Teller) -> None:
        self._sessions = sessions
        self._bars = bars
        self._teller = teller

    async def load(self) -> None:
        """Load the model. Requests that come in the meantime wait for it."""
        session = self._sessions.session
        if session is None:
            self._teller.log(LogLevel.INFO, TURNED_OFF)
            self._teller.tell(silent(Reason.TURNED_OFF))
            return
        self._teller.tell(LOADING)
        # Loading starts before the editor is asked for a bar, so that a slow answer costs no time.
        loading = asyncio.create_task(session.load())
        bar = self._bars.bar("dgemma: loading the model")
        await bar.show()
        try:
            await bar.wait(loading)
            info = await loading
        except JsonRpcException:
            result = "Loading was stopped; the next request loads the model."
            await self._stop(loading)
        except EngineError as error:
            result = "The model could not be loaded."
            self._teller.alarm(str(error))
            self._teller.log(LogLevel.ERROR, str(error))
            self._teller.tell(failed(error))
        else:
            result = _description(info)
            self._teller.log(LogLevel.INFO, result)
            self._teller.tell(READY)
        bar.end(result)

    async def follow_settings(self) -> bool:
        """Load the model that the settings name, unless it is there already; return whether it was another one."""
        if self._sessions.is_wanted:
            return False
        await asyncio.to_thread(self._sessions.close)
        # In the meantime, a newer change of the settings may have done the rest.
        if not self._sessions.is_wanted:
            self._sessions.open()
            await self.load()
        return True

    async def _stop(self, loading: asyncio.Task[EngineInfo]) -> None:
        await asyncio.to_thread(self._sessions.close)
        # The engine reports that it was ended, which is no news.
        await asyncio.gather(loading, return_exceptions=True)
        self._sessions.open()
        self._teller.tell(silent(Reason.NOT_LOADED))


def _description(info: EngineInfo) -> str:
    millions = info.parameters / 1e6
    return f"{info.model} is ready ({millions:.0f} M parameters, {info.device}, {info.dtype})."
