"""Holds the session with the engine that the settings name."""

from __future__ import annotations

from collections.abc import Callable

from dgemma_lsp.engines.base import Engine
from dgemma_lsp.lsp.session import Session
from dgemma_lsp.lsp.status import State
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.settings.settings import Settings

EngineFactory = Callable[[Settings], Engine]
"""Makes the engine that the settings name."""


class SessionHolder:
    """Holds a session; there is none while the user has turned the server off.

    Args:
        make_engine: called whenever a session is opened.
        preferences: where the settings come from.

    Attributes:
        session: the session, or None.
    """

    def __init__(self, make_engine: EngineFactory, preferences: Preferences) -> None:
        self._make_engine = make_engine
        self._preferences = preferences
        self._opened_for: tuple[object, ...] = ()
        self.session: Session | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether the session is the one that the settings name."""
        return self._opened_for == _engine_settings(self._preferences.settings)

    def is_loading(self) -> bool:
        """Whether the model of the session is being loaded, or has yet to be."""
        return self.session is not None and self.session.status.state is State.LOADING

    def open(self) -> None:
        """Make the engine that the settings name. The first request loads its model, unless somebody does it before."""
        settings = self._preferences.settings
        self.session = Session(self._make_engine(settings)) if settings.enable else None
        self._opened_for = _engine_settings(settings)

    def close(self) -> None:
        """End the engine. This may take a second or two."""
        session, self.session = self.session, None
        if session is not None:
            session.close()


def _engine_settings(settings: Settings) -> tuple[object, ...]:
    return settings.enable, settings.model, settings.device
