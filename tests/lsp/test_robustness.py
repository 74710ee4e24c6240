"""A thousand random protocol events: no crash, no lost document, the server's text is the client's."""

from __future__ import annotations

import random

import pytest

from tests.lsp.chaos import Chaos
from tests.lsp.conftest import StartServer
from tools.drivers.fake_worker import WorkerLog

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(
    "seed", [20_26, random.SystemRandom().randrange(10**6)], ids=["fixed seed", "random seed"]
)
def test_whatever_comes_the_server_lives_and_knows_the_documents(
    start_server: StartServer, log: WorkerLog, seed: int
) -> None:
    print(f"seed {seed}")
    client = start_server("--steps", "1")
    client.initialize()
    chaos = Chaos(client, log, seed)
    chaos.run(1000)
    chaos.check()
    assert client.process.poll() is None, f"seed {seed}: {client.stderr}"
    assert client.shut_down() == 0, f"seed {seed}"
