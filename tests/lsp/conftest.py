"""Servers with the fake worker, each with a client of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tools.drivers.client import Client, server_command
from tools.drivers.fake_worker import WorkerLog

StartServer = Callable[..., Client]


@pytest.fixture
def log(tmp_path: Path) -> WorkerLog:
    return WorkerLog(tmp_path / "worker.log")


@pytest.fixture
def start_server(log: WorkerLog) -> Iterator[StartServer]:
    """Start a server whose worker gets these arguments."""
    clients = []

    def start(
        *worker_arguments: str, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> Client:
        command = server_command("--log", str(log.path), *worker_arguments, options=options)
        client = Client(command, {"XDG_STATE_HOME": str(log.path.parent), **(environment or {})})
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.close()
