"""Ten thousand random protocol events: the server takes no more memory behind them than before."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.lsp.chaos import Chaos
from tools.drivers.client import Client, server_command
from tools.drivers.fake_worker import WorkerLog
from tools.drivers.processes import resident_bytes

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc"),
]


def test_ten_thousand_events_leave_nothing_behind(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path / "worker.log")
    client = Client(server_command("--log", str(log.path), "--steps", "1"))
    client.initialize()
    chaos = Chaos(client, log, seed=1)
    chaos.run(2000)  # until everything has been imported, and the kept suggestions are as many as may be
    before = resident_bytes(client.process.pid)
    for _ in range(10):
        chaos.run(1000)
    after = resident_bytes(client.process.pid)
    print(f"{before / 2**20:.1f} MiB before, {after / 2**20:.1f} MiB after")
    chaos.check()
    assert after <= 1.1 * before
    assert client.shut_down() == 0
    client.close()
