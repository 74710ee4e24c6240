"""Which filler a checkpoint gets, and what it says of itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dgemma_model.errors import ModelError
from dgemma_model.fill.filler import load_filler
from dgemma_model.fill.fitted import FILE
from dgemma_model.fill.infiller import Infiller
from dgemma_model.protocol import ProofreadRequest
from tests.model.tiny import CHECKPOINT


def test_the_bundled_checkpoint_is_loaded_by_default() -> None:
    filler = load_filler()
    assert isinstance(filler, Infiller)
    assert (filler.info.model, filler.info.device) == ("bundled", "cpu")
    assert filler.info.capabilities.proofreads


@pytest.mark.parametrize("device", ["tpu", "cudax", ""])
def test_an_unknown_device_is_refused_in_one_sentence(device: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"no device {device}"):
        load_filler(tmp_path, device)


def test_a_checkpoint_that_names_no_layout_is_refused_in_one_sentence(tmp_path: Path) -> None:
    config = json.loads((CHECKPOINT / "config.json").read_text("utf-8"))
    del config["infill_layout"]
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match="was not trained to fill regions in our layout"):
        load_filler(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_configuration_that_cannot_be_read_is_told_in_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text, "utf-8")
    with pytest.raises(ModelError, match="cannot be read"):
        load_filler(tmp_path)


def test_a_checkpoint_that_was_never_fitted_fills_but_does_not_proofread(tmp_path: Path) -> None:
    folder = shutil.copytree(CHECKPOINT, tmp_path / "mine", ignore=shutil.ignore_patterns(FILE, "ngrams*"))
    filler = load_filler(folder)
    assert filler.info.model == "mine"
    assert not filler.info.capabilities.proofreads
    with pytest.raises(ModelError, match="cannot proofread"):
        list(filler.hints(ProofreadRequest("a = 1\n", (), ((0, 5),)), lambda: False))
