"""What the command line says when a model cannot be grown: one sentence, and what to do."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dgemma_model.grow import checkpoint, command, opening
from dgemma_model.grow.checkpoint import Packed
from dgemma_model.grow.opening import open_source
from dgemma_model.grow.plain import tensors
from tests.model.grow.networks import change, llama, qwen2, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(qwen2(tie_word_embeddings=True), tmp_path_factory.mktemp("model"))


@pytest.fixture
def source(model: Path, tmp_path: Path) -> Path:
    """A copy that may be spoiled."""
    return Path(shutil.copytree(model, tmp_path / "source"))


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What the command prints when it fails."""
    assert command.main([str(argument) for argument in arguments]) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model_type": "gemma3"}, "of the family gemma3; only Llama and Qwen2 can be grown"),
        ({"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 1}, "uses sliding windows"),
        (
            {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}},
            "by the method yarn, which is not known",
        ),
        ({"rope_parameters": None, "rope_scaling": {"type": "dynamic"}}, "by the method dynamic"),
        ({"hidden_act": "gelu"}, "the activation gelu; only silu"),
        ({"mlp_bias": True}, "has biases in its gated layers"),
        ({"quantization_config": {"quant_method": "awq"}}, "is quantised by awq; give the unquantised model"),
        ({"hidden_size": None}, "config.json is incomplete"),
        ({"hidden_size": 128, "head_dim": 16}, "has the shape .* the source is damaged"),
    ],
)
def test_other_networks_are_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, Any], sentence: str
) -> None:
    change(source, layer_types=None, **fields)
    assert re.search(sentence, said(capsys, source, "--out", tmp_path / "out"))
    assert [path.name for path in tmp_path.glob("out/*")] == []


def test_a_window_that_is_not_used_is_no_obstacle(source: Path, tmp_path: Path) -> None:
    change(source, use_sliding_window=False, sliding_window=64, layer_types=None)
    assert command.main([str(source), "--out", str(tmp_path / "out")]) == 0


def test_the_old_way_to_write_rotary_frequencies_is_read(source: Path) -> None:
    change(source, rope_parameters=None, rope_theta=123.0, rope_scaling={"type": "linear", "factor": 2.0})
    rope = open_source(str(source)).network.config.rope
    assert (rope.theta, rope.scaling.value, rope.factor) == (123.0, "linear", 2.0)


def test_a_missing_tokenizer_is_named(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "tokenizer.json").unlink()
    assert "tokenizer.json cannot be read" in said(capsys, source, "--out", tmp_path / "out")


def test_truncated_weights_are_named(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = source / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "model.safetensors is truncated; fetch it anew" in said(capsys, source, "--out", tmp_path / "out")


def test_missing_weights_are_named(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"model.embed_tokens.weight": torch.randn(323, 96)}, source / "model.safetensors")
    printed = said(capsys, source, "--out", tmp_path / "out")
    assert "lacks the tensor model.norm.weight; fetch it anew" in printed


def test_an_occupied_folder_is_left_alone(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("mine")
    assert "is not empty; choose another, or empty it" in said(capsys, model, "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_full_disk_is_noticed_before_anything_is_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _: usage._replace(free=10))
    assert "GB too little room; choose another folder" in said(capsys, model, "--out", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_in_the_way_of_the_folder_is_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot be made" in said(capsys, model, "--out", tmp_path / "file" / "out")


def test_a_missing_package_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    printed = said(capsys, tmp_path / "a.gguf", "--out", tmp_path / "out")
    assert "pip install 'dgemma-lsp[grow]'" in printed


@pytest.mark.parametrize("name", ["nothing", "no/such/folder", "missing/model.gguf"])
def test_a_name_that_means_nothing_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"There is no model {name}; give a GGUF file" in said(capsys, name, "--out", tmp_path / "out")


def test_without_the_hub_a_name_is_answered_by_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    printed = said(capsys, "someone/no-such-model", "--out", tmp_path / "out")
    assert "is not in the cache and the hub cannot be reached; download it elsewhere" in printed


def test_a_model_of_the_hub_is_read_from_where_it_was_fetched(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def fetch(name: str) -> Path:
        fetched.append(name)
        return model

    monkeypatch.setattr(opening, "_fetch", fetch)
    assert command.main(["Somebody/Model-0.5B", "--out", str(tmp_path / "out")]) == 0
    assert fetched == ["Somebody/Model-0.5B"]


def test_a_model_in_several_files_is_read(tmp_path: Path) -> None:
    folder = save(llama(), tmp_path / "source")
    whole = open_source(str(save(llama(), tmp_path / "whole"))).network
    llama().save_pretrained(folder, max_shard_size="200KB")
    (folder / "model.safetensors").unlink()
    assert len(list(folder.glob("*.safetensors"))) > 2
    parts = open_source(str(folder)).network
    assert all((parts.tensor(s.name) == whole.tensor(s.name)).all() for s in tensors(parts.config))


def test_a_vocabulary_for_another_tokenizer_needs_texts(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = said(capsys, model, "--out", tmp_path / "out", "--vocabulary", "300")
    assert "add --texts FOLDER" in printed
    (tmp_path / "empty").mkdir()
    printed = said(
        capsys, model, "--out", tmp_path / "out", "--vocabulary", "300", "--texts", tmp_path / "empty"
    )
    assert "has no files to count tokens in" in printed


def test_an_export_of_something_else_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is not a packed" in said(capsys, "export", model, tmp_path / "out")


def test_export_is_a_command(model: Path, tmp_path: Path) -> None:
    assert command.main([str(model), "--out", str(tmp_path / "packed")]) == 0
    assert command.main(["export", str(tmp_path / "packed"), str(tmp_path / "out")]) == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))
    assert config["text_config"]["vocab_size"] == Packed(tmp_path / "packed").config.vocabulary
