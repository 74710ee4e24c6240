"""Ignore files, compared with what git itself says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgemma_lsp.settings.exclusion import Exclusion, Exclusions
from dgemma_lsp.settings.ignore_files import LOOK_SECONDS, MOST_BYTES, IgnoreFiles

pytestmark = pytest.mark.timeout(60)


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def ignored(root: Path, place: str) -> bool:
    return IgnoreFiles(root).ignores(PurePosixPath(place))


@pytest.mark.parametrize(
    ("files", "place", "expected"),
    [
        pytest.param({".gitignore": "*.log\n"}, "a/b.log", True, id="a name"),
        pytest.param({".gitignore": "build/\n"}, "build/a/b.py", True, id="a folder"),
        pytest.param({".gitignore": "*.py\n!a.py\n"}, "a.py", False, id="taken back"),
        pytest.param({".gitignore": "build/\n!build/a.py\n"}, "build/a.py", True, id="in an ignored folder"),
        pytest.param({".gitignore": "*.py\n", "x/.gitignore": "!a.py\n"}, "x/a.py", False, id="nearer"),
        pytest.param({".gitignore": "x/\n", "x/.gitignore": "!a.py\n"}, "x/a.py", True, id="nearer, but ignored"),
        pytest.param({"x/.gitignore": "/a.py\n"}, "x/y/a.py", False, id="anchored to its folder"),
        pytest.param({"x/.gitignore": "a.py\n"}, "a.py", False, id="does not reach up"),
        pytest.param({".gitignore": "!\n\\\n*.log\n"}, "a.log", True, id="nonsense is skipped"),
        pytest.param({".gitignore": "\ufeff*.log\n"}, "a.log", True, id="a byte order mark"),
        pytest.param({".dgemmaignore": "*.log\n"}, "a.log", True, id="our own"),
        pytest.param({".gitignore": "*.py\n", ".dgemmaignore": "!a.py\n"}, "a.py", False, id="our own takes back"),
        pytest.param({".gitignore": "#" * MOST_BYTES + "\n*.py\n"}, "a.py", False, id="too long to be read"),
        pytest.param({}, "a.py", False, id="there are none"),
    ],
)  # fmt: skip
def test_ignore_files(tmp_path: Path, files: Mapping[str, str], place: str, expected: bool) -> None:
    write(tmp_path, files)
    assert ignored(tmp_path, place) == expected
    found = Exclusions(()).reason("", str(tmp_path / place), [str(tmp_path)])
    assert found is (Exclusion.IGNORED if expected else None)


names = st.sampled_from(["a", "b", "a.py", "b.py", "*", "*.py", "?.py", "**"])
globs = st.builds(
    lambda sign, slash, parts, end: sign + slash + "/".join(parts) + end,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(names, min_size=1, max_size=2),
    st.sampled_from(["", "", "/"]),
)
ignore_file = st.lists(globs, max_size=3).map("\n".join)


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([".gitignore", "a/.gitignore", "a/b/.gitignore"]), ignore_file))
def test_git_says_the_same(tmp_path: Path, files: Mapping[str, str]) -> None:
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    places = ["a.py", "b.py", "a/a.py", "a/b.py", "b/a.py", "a/b/a.py", "a/b/b.py"]
    write(tmp_path, {**dict.fromkeys(places, ""), **files})
    said = {place for place in places if ignored(tmp_path, place)}
    assert said == git_ignores(tmp_path, places)


def git_ignores(root: Path, places: list[str]) -> set[str]:
    own = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", "init", "-q", str(root)], check=True, env=own)
    told = subprocess.run(
        ["git", "-C", str(root), "check-ignore", "--no-index", *places],
        capture_output=True, text=True, check=False, env=own,
    )  # fmt: skip
    assert told.returncode in (0, 1), told.stderr
    return set(told.stdout.split())


def test_a_change_is_noticed_after_a_while(tmp_path: Path) -> None:
    now = 0.0
    files = IgnoreFiles(tmp_path, lambda: now)
    place = PurePosixPath("a.py")
    assert not files.ignores(place)
    write(tmp_path, {".gitignore": "*.py\n"})
    assert not files.ignores(place), "nobody looks at the disk at each keystroke"
    now = LOOK_SECONDS
    assert files.ignores(place)
    (tmp_path / ".gitignore").unlink()
    now = 2 * LOOK_SECONDS
    assert not files.ignores(place)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_no_ignore_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".gitignore")
    (tmp_path / ".dgemmaignore").mkdir()
    assert not ignored(tmp_path, "a.py")
