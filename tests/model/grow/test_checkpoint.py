"""The folder of a packed model: complete, aligned, the same bytes each time, and read back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from dgemma_model.errors import ModelError
from dgemma_model.grow import checkpoint, command
from dgemma_model.grow.checkpoint import Packed
from dgemma_model.grow.pack import Bits, pack, unpack
from dgemma_model.grow.plain import tensors
from dgemma_model.grow.safetensors_source import open_folder
from dgemma_model.grow.tensorfile import TensorFile
from tests.model.grow.networks import files, llama, qwen2, save, tokenizer


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(qwen2(tie_word_embeddings=False), tmp_path_factory.mktemp("source"))


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_come_back_as_they_were_packed(source: Path, tmp_path: Path, bits: int) -> None:
    assert command.main([str(source), "--out", str(tmp_path / "out"), "--bits", str(bits)]) == 0
    packed, plain = Packed(tmp_path / "out"), open_folder(source).network
    kept = tokenizer().get_vocab_size()
    for slot in tensors(packed.config):
        expected = plain.tensor(slot.name)
        if slot.name in ("embedding", "head"):
            expected = unpack(pack(expected[:kept], Bits.EIGHT))
        elif len(slot.shape) > 1:
            expected = unpack(pack(expected, Bits(bits)))
        assert np.array_equal(packed.tensor(slot.name)[: len(expected)], expected), slot.name


def test_the_mask_has_the_size_that_the_blueprint_says(source: Path, tmp_path: Path) -> None:
    assert command.main([str(source), "--out", str(tmp_path / "out")]) == 0
    packed = Packed(tmp_path / "out")
    row = packed.tensor("embedding")[-1]
    assert np.sqrt(np.square(row).mean()) == pytest.approx(packed.blueprint.mask_size, rel=1e-3)
    assert packed.card().mask == packed.config.vocabulary - 1


def test_the_same_source_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        assert command.main([str(source), "--out", str(tmp_path / name)]) == 0
        digests.append(
            [(file, hashlib.sha256(content).hexdigest()) for file, content in files(tmp_path / name)]
        )
    assert digests[0] == digests[1]


def test_shards_stay_small_and_hold_everything(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_SHARD", 40_000)
    assert command.main([str(source), "--out", str(tmp_path / "out")]) == 0
    shards = sorted((tmp_path / "out").glob("packed-*.safetensors"))
    assert len(shards) > 3
    assert all(shard.stat().st_size < 50_000 for shard in shards)
    assert shards[-1].name.endswith(f"-{len(shards):05}-of-{len(shards):05}.safetensors")
    names = [name for shard in shards for name in TensorFile(shard).names()]
    assert len(names) == len(set(names))
    packed = Packed(tmp_path / "out")
    assert all(packed.tensor(slot.name).shape == slot.shape for slot in tensors(packed.config))

    shards[1].unlink()
    with pytest.raises(ModelError, match="files of weights; copy it anew"):
        Packed(tmp_path / "out")


def test_frequencies_are_stored_for_the_runner(tmp_path: Path) -> None:
    folder = save(llama(rope_parameters={"rope_type": "default", "rope_theta": 500.0}), tmp_path / "source")
    assert command.main([str(folder), "--out", str(tmp_path / "out")]) == 0
    stored = TensorFile(next((tmp_path / "out").glob("packed-*"))).read("rotary.frequencies")
    assert stored == pytest.approx(500.0 ** -(np.arange(0, 16, 2) / 16))


def test_the_tokenizers_files_say_what_the_special_tokens_are(source: Path, tmp_path: Path) -> None:
    (source / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}), "utf-8")
    assert command.main([str(source), "--out", str(tmp_path / "out")]) == 0
    said = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text("utf-8"))
    assert (said["eos_token"], said["mask_token"], said["chat_template"]) == (
        "<|end|>",
        "<mask>",
        "{{ messages }}",
    )
    assert Packed(tmp_path / "out").card().chat_template == "{{ messages }}"


def test_a_folder_that_is_no_packed_model_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a packed"):
        Packed(source)
    with pytest.raises(ModelError, match="cannot be read"):
        Packed(tmp_path)
