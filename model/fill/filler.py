"""The port `Filler`: what answers requests with a checkpoint. `load_filler` makes the one that a checkpoint names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from dgemma_model.errors import ModelError
from dgemma_model.layouts import infill, suffix_first
from dgemma_model.network.device import check_device
from dgemma_model.network.folder import BUNDLED, read_config
from dgemma_model.protocol import Draft, EngineInfo, FillRequest, Hint, ProofreadRequest


class Filler(Protocol):
    """A loaded checkpoint that answers requests. Only one thread at a time may use it."""

    @property
    def info(self) -> EngineInfo:
        """What is loaded, and what it can do."""

    def drafts(self, request: FillRequest, cancelled: Callable[[], bool]) -> Iterator[Draft]:
        """Fill the regions of a request; the last draft is the fill.

        Args:
            request: the masked document.
            cancelled: asked at least before every step.

        Raises:
            Cancelled: ``cancelled`` answered True.
            ModelError: the request cannot be filled.
        """

    def hints(self, request: ProofreadRequest, cancelled: Callable[[], bool]) -> Iterator[tuple[Hint, ...]]:
        """Read the spans of a request for mistakes; yields the hints of each span, the surest first.

        Args:
            request: the text and its spans.
            cancelled: asked before every span.

        Raises:
            Cancelled: ``cancelled`` answered True.
            ModelError: the model cannot proofread.
        """

    def warm_up(self) -> None:
        """Make the first request as fast as the later ones."""

    def anticipate(self, request: FillRequest, idle: Callable[[], bool]) -> None:
        """Prepare for the keystrokes that may follow a request.

        Args:
            request: the last one that was filled.
            idle: the work stops when it answers False.
        """


Loader = Callable[[Path, str, int | None], Filler]
"""Loads a checkpoint folder onto a device, for so many threads."""


def _denoising(folder: Path, device: str, threads: int | None) -> Filler:
    import torch

    from dgemma_model.fill.infiller import Infiller

    if threads:
        torch.set_num_threads(threads)
    return Infiller.load(folder, device)


def _writing(folder: Path, device: str, threads: int | None) -> Filler:
    from dgemma_model.fill.continuation import Continuation

    return Continuation.load(folder, device, threads)


LOADERS: Mapping[str, Loader] = MappingProxyType(
    {infill.LAYOUT_KEY: _denoising, suffix_first.LAYOUT_KEY: _writing}
)
"""By the section of config.json that names the layout. Only what loads a checkpoint imports what runs it."""


def load_filler(folder: Path | None = None, device: str = "cpu", threads: int | None = None) -> Filler:
    """Load a checkpoint, and whatever fills with it: its config.json names the layout.

    Args:
        folder: the checkpoint's folder; None for the bundled one.
        device: "cpu", "cuda", …; see `Device`.
        threads: of the network; as many as whatever runs it likes best where nothing is said.

    Raises:
        ModelError: it cannot be loaded.
    """
    check_device(device)
    folder = folder or BUNDLED
    config = read_config(folder)
    load = next((loader for key, loader in LOADERS.items() if key in config), None)
    if load is None:
        raise ModelError(
            f"The model {folder} was not trained to fill regions in our layout; "
            "use a checkpoint made by model/train or by python -m dgemma_model.grow."
        )
    return load(folder, device, threads)
