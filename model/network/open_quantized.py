"""Opens a quantised network with the fastest form of it that runs here."""

from __future__ import annotations

from pathlib import Path

from dgemma_model.network.quantized import Checkpoint, QuantizedNetwork
from dgemma_model.network.quantized_runner import QuantizedRunner


def open_network(folder: Path, threads: int | None = None) -> QuantizedNetwork:
    """The network of a folder.

    torch is imported only where nothing was compiled, or what was compiled cannot run a network of its shape.

    Args:
        folder: of a quantised checkpoint.
        threads: as many as there are cores where nothing is said.

    Raises:
        ModelError: the folder holds none.
    """
    checkpoint = Checkpoint.open(folder)
    if QuantizedRunner.can_run(checkpoint):
        return QuantizedRunner(checkpoint, threads=threads)
    from dgemma_model.network.quantized_torch import QuantizedTorch

    return QuantizedTorch(checkpoint, threads=threads)
