"""Archives are downloaded, checked and read. No network: they are made here."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from dgemma_model.train.data import archives
from dgemma_model.train.data.packages import CorpusError, Package, Split


def test_a_source_archive_is_read_like_a_wheel(tmp_path: Path) -> None:
    path = tmp_path / "p-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as sdist:
        for name in ("p-1.0/b.py", "p-1.0/a.py", "p-1.0/data.txt"):
            member = tarfile.TarInfo(name)
            member.size = 1
            sdist.addfile(member, io.BytesIO(b"x"))
    assert list(archives.read_archive(path)) == [("p-1.0/a.py", b"x"), ("p-1.0/b.py", b"x")]


def test_a_broken_archive_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "p-1.0.tar.gz"
    path.write_bytes(b"no archive")
    with pytest.raises(CorpusError, match=r"cannot read p-1\.0\.tar\.gz"):
        list(archives.read_archive(path))


def test_the_standard_library_is_read_without_tests_and_installed_packages(tmp_path: Path) -> None:
    for name in ("json/decoder.py", "test/test_json.py", "site-packages/p.py", "lib2to3/tests/a.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert list(archives.read_standard_library(tmp_path)) == [("json/decoder.py", b"x")]


def fake_pip(monkeypatch: pytest.MonkeyPatch, returncode: int, stderr: str = "", writes: bytes = b"") -> None:
    """Let pip "download" these bytes, or fail."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if writes:
            Path(command[command.index("--dest") + 1], "p.whl").write_bytes(writes)
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(subprocess, "run", run)


def test_a_download_is_checked_against_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = Package("p", "1.0", "MIT", hashlib.sha256(b"good").hexdigest(), Split.TRAIN)
    fake_pip(monkeypatch, 1, "WARNING: slow\nERROR: no such version\n")
    with pytest.raises(CorpusError, match=r"could not download p==1\.0: ERROR: no such version"):
        archives.fetch([package], tmp_path)
    fake_pip(monkeypatch, 0, writes=b"evil")
    with pytest.raises(CorpusError, match="does not have the hash"):
        archives.fetch([package], tmp_path)
    fake_pip(monkeypatch, 0, writes=b"good")
    assert archives.fetch([package], tmp_path) == {"p": tmp_path / "p.whl"}
    fake_pip(monkeypatch, 1)  # what is there is not fetched again
    assert archives.fetch([package], tmp_path) == {"p": tmp_path / "p.whl"}
