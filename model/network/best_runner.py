"""Choose the fastest runner for a network."""

from __future__ import annotations

from dgemma_model.network.layers import Network
from dgemma_model.network.native_runner import NativeRunner
from dgemma_model.network.runner import Runner
from dgemma_model.network.torch_runner import TorchRunner


def best_runner(network: Network) -> Runner:
    """Make the fastest runner for the device that the network is on, with as many threads as torch uses."""
    return NativeRunner(network) if NativeRunner.can_run(network) else TorchRunner(network)
