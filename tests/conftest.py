"""Settings of every test: one thread for torch, hypothesis without deadlines, tests/e2e marked as what they are."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# Before anything imports torch; child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test may write into the user's log.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="dgemma-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)
# No test may reach for a model on the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

E2E = Path(__file__).parent / "e2e"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(E2E):
            item.add_marker(pytest.mark.e2e)
