"""The command line that makes the corpus. No network: archives are made here."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from dgemma_model.train.data import corpus
from tests.model.train.data.made_up import code, row


def write_wheel(path: Path, files: dict[str, str]) -> str:
    """Write a wheel with these files; its SHA-256."""
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_command_line_makes_both_splits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "base.py").write_text(code("base"), encoding="utf-8")
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(library)})
    downloads = tmp_path / "out" / "downloads"
    downloads.mkdir(parents=True)
    train_files = {"t/a.py": code("a"), "t/_vendor/h.py": code("v"), "t/copy.py": code("h"), "t/x.txt": "x"}
    train = write_wheel(downloads / "t.whl", train_files)
    held_out = write_wheel(downloads / "h.whl", {"h/a.py": code("h"), "h/short.py": "x = 1\n"})
    table = tmp_path / "packages.toml"
    table.write_text(row("t", sha256=train) + row("h", split="held_out", sha256=held_out), encoding="utf-8")

    assert corpus.main(["--out", str(tmp_path / "out"), "--packages", str(table)]) == 0

    def paths(split: str) -> list[str]:
        lines = (tmp_path / "out" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        return sorted(json.loads(line)["path"] for line in lines)

    assert paths("train") == ["base.py", "t/a.py"]
    assert paths("held_out") == ["h/a.py"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["train"]["dropped"] == {"leak": 1}
    assert summary["held_out"]["dropped"] == {"size": 1}
    assert summary["held_out"]["bytes"] == len(code("h"))


def test_the_command_line_explains_a_missing_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert corpus.main(["--out", str(tmp_path), "--packages", str(tmp_path / "none.toml")]) == 1
    assert "error:" in capsys.readouterr().err
