"""The loop: pins, cancellation, seeds, several regions, early stop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgemma_model.denoise.loop import Canvas, Schedule, State, denoise
from dgemma_model.errors import Cancelled
from dgemma_model.network.runner import Prompt, Runner
from dgemma_model.network.torch_runner import TorchRunner
from tests.model.tiny import network

END = 1


def runner() -> Runner:
    return TorchRunner(network())


def prompt(lean: Runner) -> Prompt:
    made = lean.prompt()
    lean.store(made, torch.randint(2, 96, (9,)), torch.arange(9))
    return made


def canvas(widths: tuple[int, ...] = (6, 4)) -> Canvas:
    ends = [sum(widths[: n + 1]) for n in range(len(widths))]
    runs = [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]
    return Canvas.empty(list(range(9, 9 + sum(widths))), runs)


def states(schedule: Schedule, made: Canvas | None = None) -> list[State]:
    torch.manual_seed(0)
    lean = runner()
    return list(denoise(lean, prompt(lean), made or canvas(), END, schedule, lambda: False))


@given(pins=st.sets(st.integers(0, 9)), seed=st.integers(0, 9))
@settings(max_examples=20)
def test_pins_never_move(pins: set[int], seed: int) -> None:
    empty = canvas()
    pinned = torch.zeros(10, dtype=torch.bool)
    pinned[list(pins)] = True
    start = torch.arange(20, 30)
    made = Canvas(empty.positions, empty.runs, start, empty.fixed, pinned)
    for state in states(Schedule(steps=4, batch=2, seed=seed), made):
        assert (state.ids[:, pinned] == start[pinned]).all()
        assert (state.probabilities[:, pinned] == 1).all()


def test_the_same_seed_gives_the_same_drafts_and_another_one_others() -> None:
    first, again, other = (states(Schedule(seed=seed)) for seed in (3, 3, 4))
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(a.ids, b.ids) for a, b in zip(first, other, strict=False))


def test_alternatives_differ_and_the_first_is_what_a_batch_of_one_gives() -> None:
    drawn = states(Schedule(steps=4, batch=4))
    assert len({tuple(row) for row in drawn[0].ids.tolist()}) > 1
    assert [state.step for state in drawn] == sorted({state.step for state in drawn})


def test_cancellation_is_seen_before_every_step() -> None:
    lean, asked = runner(), []
    steps = denoise(lean, prompt(lean), canvas(), END, Schedule(), lambda: len(asked) == 2)
    with pytest.raises(Cancelled):
        asked.extend(state.step for state in steps)
    assert asked == [1, 2]


def test_all_regions_are_denoised_by_each_single_step() -> None:
    lean = runner()
    calls = []
    decode = lean.decode

    def counted(*arguments: object) -> torch.Tensor:
        calls.append(arguments[0].shape)  # type: ignore[attr-defined]
        return decode(*arguments)  # type: ignore[arg-type]

    lean.decode = counted  # type: ignore[assignment, method-assign]
    drafts = list(denoise(lean, prompt(lean), canvas((6, 4, 5)), END, Schedule(steps=3), lambda: False))
    assert calls == [(1, 15)] * len(drafts)


def test_a_region_sees_the_other_one() -> None:
    torch.manual_seed(0)
    lean = runner()
    kept, at = prompt(lean), torch.arange(9, 19)[None]
    ids = torch.randint(2, 96, (1, 10))
    changed = ids.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 96
    difference = lean.decode(ids, at, kept) - lean.decode(changed, at, kept)
    assert difference[:, :6].abs().max() > 1e-4


def test_it_stops_when_the_regions_are_settled() -> None:
    lean = runner()
    sure = 30.0 * torch.nn.functional.one_hot(torch.arange(20, 30), 96).float()
    lean.logits = lambda states: sure.repeat(len(states), 1, 1)  # type: ignore[assignment, method-assign]
    drafts = list(denoise(lean, prompt(lean), canvas(), END, Schedule(steps=30), lambda: False))
    assert [state.final for state in drafts] == [False, True]
    assert drafts[-1].ids[0].tolist() == list(range(20, 30))


def test_text_that_is_held_stays_while_the_network_is_unsure() -> None:
    empty = canvas((8,))
    start, held = torch.arange(30, 38), torch.ones(8, dtype=torch.bool)
    made = Canvas(empty.positions, empty.runs, start, held, empty.pinned)
    lean = runner()
    seen = []
    decode = lean.decode

    def watched(ids: torch.Tensor, *rest: object) -> torch.Tensor:
        seen.append(ids[0])
        return decode(ids, *rest)  # type: ignore[arg-type]

    lean.decode = watched  # type: ignore[assignment, method-assign]
    for state in denoise(lean, prompt(lean), made, END, Schedule(steps=4), lambda: False):
        if not state.final and len(seen) < 4:
            last = state
    assert torch.equal(seen[0], start)
    kept = ~last.accepted[0] if len(seen) > last.step else None
    assert kept is None or torch.equal(seen[last.step][kept], start[kept])
