"""Training in several processes: they read different files, agree on everything else, and none waits for a dead one."""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch.distributed import HashStore

from dgemma_model.errors import ModelError
from dgemma_model.train.losses import step_losses
from dgemma_model.train.recipe import Recipe
from dgemma_model.train.run import Run
from dgemma_model.train.step import parallel
from dgemma_model.train.step.muon import orthogonalised
from dgemma_model.train.step.parallel import Group
from dgemma_model.train.stream import Stream
from tests.model.tiny import CHECKPOINT, tokenizer

TOKENIZER = tokenizer()
SOURCE = Path(json.__file__).read_text("utf-8")
RECIPE = Recipe(
    hidden=32, layers=2, head_dim=8, dense=32, experts=4, expert=16, rows=1, warmup=1, characters_per_row=200
)
T = TypeVar("T")


def together(work: Callable[[Group], T], size: int = 2) -> list[T]:
    """What every member of a group makes; threads here, which need no starting of processes."""
    store = HashStore()

    def member(rank: int) -> T:
        return work(parallel.member(store, rank, size, timedelta(seconds=30)))

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(member, range(size)))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps({"text": SOURCE + f"# {n}\n"}) + "\n" for n in range(12)))
    return path


def arguments(corpus: Path, **given: object) -> argparse.Namespace:
    folder = corpus.parent
    known = {"corpus": corpus, "tokenizer": CHECKPOINT / "tokenizer.json", "device": "cpu"}
    known |= {"state": folder / "state", "out": folder / "out"}
    return argparse.Namespace(**known | {"minutes": 0.01, "cooldown": 0.0, "every": 5.0} | given)


def weights(run: Run) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in run.network.parameters()])


# --- gradients


def test_each_goes_on_with_the_mean_of_all_gradients_and_figures() -> None:
    def work(group: Group) -> tuple[list[float], list[torch.Tensor | None]]:
        several, lone, unused = (torch.zeros(2, 3, requires_grad=True) for _ in range(3))
        several.grad = torch.full((2, 3), float(group.rank))
        if group.leads:
            lone.grad = torch.ones(2, 3)
        figures = group.average([several, lone, unused], [10.0 * group.rank, 1.0])
        return figures, [several.grad, lone.grad, unused.grad]

    for figures, (several, lone, unused) in together(work):
        assert figures == [5.0, 1.0]
        assert several is not None
        assert lone is not None
        assert torch.equal(several, torch.full((2, 3), 0.5))
        assert torch.equal(lone, torch.full((2, 3), 0.5)), "who has none counts as zero"
        assert unused is None, "an optimizer passes over what nobody has used"


def test_a_lone_process_keeps_its_gradients() -> None:
    parameter = torch.zeros(2, requires_grad=True)
    parameter.grad = kept = torch.ones(2)
    assert Group().average([parameter], [0.1]) == [0.1]
    assert parameter.grad is kept


def test_the_gradient_of_two_half_batches_is_the_mean_of_their_gradients(corpus: Path) -> None:
    def gradient(rank: int, group: Group) -> torch.Tensor:
        run = Run(arguments(corpus), RECIPE)
        batch = next(Stream(corpus, TOKENIZER, RECIPE, RECIPE.shape, rank, 2).batches())
        encoder, canvas, _ = step_losses(run.network, batch, RECIPE, torch.Generator().manual_seed(rank))
        (encoder + canvas).backward()
        group.average(list(run.network.parameters()), [])
        grads = [parameter.grad for parameter in run.network.parameters() if parameter.grad is not None]
        return torch.cat([grad.flatten() for grad in grads])

    wanted = (gradient(0, Group()) + gradient(1, Group())) / 2
    for found in together(lambda group: gradient(group.rank, group)):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shared_work_is_what_one_would_make_alone(dtype: torch.dtype) -> None:
    def work(group: Group) -> tuple[list[torch.Tensor], int]:
        generator, done = torch.Generator().manual_seed(0), []
        given = [torch.randn(rows, 8, generator=generator).to(dtype) for rows in (3, 12, 12, 5, 3)]

        def made(one: torch.Tensor) -> torch.Tensor:
            done.append(one)
            return orthogonalised(one)

        return group.share(made, given), len(done)

    alone, all_of_it = work(Group())
    shared = together(work)
    assert sum(count for _, count in shared) == all_of_it
    assert {count for _, count in shared} == {2, 3}
    for found, _ in shared:
        assert all(torch.equal(own, other) for own, other in zip(found, alone, strict=True))


# --- rows


def test_members_read_different_files_and_together_all_in_the_order_of_a_lone_one(corpus: Path) -> None:
    def texts(rank: int, size: int, count: int) -> list[str]:
        return list(islice(Stream(corpus, TOKENIZER, RECIPE, RECIPE.shape, rank, size).texts(), count))

    members = [texts(rank, 3, 8) for rank in range(3)]
    lone = texts(0, 1, 24)
    assert [text for turn in zip(*members, strict=True) for text in turn] == lone
    assert len(set(lone[:12])) == len(set(lone[12:])) == 12, "two epochs of twelve files"


# --- runs


def test_all_take_the_same_steps_and_one_keeps_their_state(corpus: Path) -> None:
    def work(group: Group) -> Run:
        run = Run(arguments(corpus, minutes=0.05), RECIPE, group)
        run.train()
        return run

    first, second = together(work)
    assert first.step == second.step > 1
    assert torch.equal(weights(first), weights(second))
    assert (first.tokens, first.losses) == (second.tokens, second.losses)
    assert not torch.equal(first.generator.get_state(), second.generator.get_state()), "noise of its own"
    state = torch.load(corpus.parent / "state" / "state.pt", weights_only=True)
    assert (state["step"], state["tokens"], state["files"]) == (first.step, first.tokens, first.stream.files)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_others_can_go_on_from_a_state(corpus: Path, before: int, after: int) -> None:
    def work(group: Group) -> tuple[int, torch.Tensor, Run]:
        run, state = Run(arguments(corpus), RECIPE, group), corpus.parent / "state" / "state.pt"
        if state.exists():
            run.resume(state)
        begun = run.step, weights(run)
        run.train()
        return *begun, run

    stored = together(work, before)[0][2] if before > 1 else work(Group())[2]
    others = together(work, after) if after > 1 else [work(Group())]
    for step, begun, run in others:
        assert step == stored.step
        assert torch.equal(begun, weights(stored))
        assert run.step > step
        assert torch.equal(weights(run), weights(others[0][2]))


def test_a_share_of_the_steps_is_self_conditioned_in_all_processes_alike(corpus: Path) -> None:
    def work(group: Group) -> list[bool]:
        run, chosen = Run(arguments(corpus), RECIPE, group), []
        for run.step in range(200):
            chosen.append(run.self_conditioned())
        return chosen

    first, second = together(work)
    assert first == second
    assert 0.2 < sum(first) / len(first) < 0.4


# --- processes


def die(group: Group, how: str) -> None:
    """A member that dies while the others wait for it."""
    torch.set_num_threads(1)
    group.average([], [1.0])
    if group.rank == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError(how)
    group.average([], [1.0])


@pytest.mark.parametrize("how", ["killed", "no such file"])
def test_when_one_dies_all_end_with_one_sentence(how: str) -> None:
    with pytest.raises(ModelError, match=f"Process 1 .*{'SIGKILL' if how == 'killed' else how}") as caught:
        parallel.work_together(die, how, 2)
    assert "\n" not in str(caught.value)
