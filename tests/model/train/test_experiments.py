"""Small trainings that differ in one thing."""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dgemma_model.network.checkpoint import load
from dgemma_model.train import experiments
from dgemma_model.train.recipe import Recipe
from dgemma_model.train.run import Run
from tests.model.tiny import CHECKPOINT

TEXT = "".join(f"def function_{n}(value):\n    return other_{n}(value) + {n}\n\n\n" for n in range(60))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for name in ("train", "held_out"):
        lines = [json.dumps({"package": f"package{n}", "path": "x.py", "text": TEXT}) for n in range(3)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path


def test_a_trial_is_trained_measured_written_down_and_not_run_again(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiments, "CASES", 3)
    monkeypatch.setattr(
        experiments, "small", lambda: Recipe(hidden=64, layers=2, dense=64, expert=32, rows=2)
    )
    out = corpus / "results.json"
    given = ["base", "--corpus", str(corpus), "--tokenizer", str(CHECKPOINT / "tokenizer.json")]
    given += ["--tokens", "2000", "--out", str(out)]
    experiments.main(given)
    found = json.loads(out.read_text("utf-8"))["base"]
    assert found["steps"] >= 1
    assert found["tokens a second"] > 0
    assert all(0 <= found[share] <= 1 for share in ("rest of line", "denoiser alone"))
    assert 1 < found["encoder, bits a character"] < 12
    assert 5 < found["denoiser, nats a token from noise"] < 15
    monkeypatch.setattr(experiments, "run", None)
    experiments.main(given)


def test_averaged_weights_are_exported_and_survive_a_restart(corpus: Path) -> None:
    arguments = argparse.Namespace(
        corpus=corpus / "train.jsonl", tokenizer=CHECKPOINT / "tokenizer.json", device="cpu"
    )
    recipe = Recipe(hidden=64, layers=2, dense=64, expert=32, rows=2, average=0.5)
    first, second = Run(arguments, recipe), Run(arguments, recipe)
    before, after = first.network.embedding.detach().clone(), list[Tensor]()
    for batch in itertools.islice(first.stream.batches(), 2):
        first.one_step(batch, 1.0)
        after.append(first.network.embedding.detach().clone())
    wanted = (after[0] + after[1]) / 2
    assert not torch.equal(before, after[0])
    first.store(corpus / "state.pt")
    second.resume(corpus / "state.pt")
    second.export(corpus / "export")
    assert torch.allclose(load(corpus / "export").embedding, wanted, atol=1e-2)
    assert second.average is not None
    assert torch.allclose(second.average.module.embedding, wanted)


def test_an_unknown_trial_is_refused(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        experiments.main(["magic", "--corpus", str(corpus)])
    assert "There is no trial magic; use base" in capsys.readouterr().err


def test_every_trial_changes_what_a_recipe_has() -> None:
    known = {field.name for field in fields(Recipe)}
    assert all(set(trial.recipe) <= known for trial in experiments.TRIALS.values())
