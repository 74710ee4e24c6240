"""Acceptance, end of a region, stopping, noise."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.denoise import sampler

END = 1


@given(
    entropies=st.lists(st.floats(0, 3), min_size=1, max_size=12),
    bound=st.floats(0.01, 2),
    step=st.integers(1, 8),
)
def test_acceptance_is_the_slow_obvious_one(entropies: list[float], bound: float, step: int) -> None:
    own = sampler.accept(torch.tensor([entropies]), [slice(0, len(entropies))], bound, step, 8)[0].tolist()
    quota = -(-len(entropies) * step // 8)
    before, chosen = 0.0, set()
    for rank, index in enumerate(torch.tensor(entropies).sort().indices.tolist()):
        if before <= bound + 1e-6 or rank < quota:
            chosen.add(index)
        before += entropies[index]
    assert {index for index, taken in enumerate(own) if taken} <= chosen
    assert sum(own) >= quota


def test_the_last_step_accepts_everything() -> None:
    assert sampler.accept(torch.full((2, 5), 9.0), [slice(0, 2), slice(2, 5)], 0.1, 8, 8).all()


def test_an_easy_region_does_not_use_up_the_bound_of_a_hard_one() -> None:
    entropies = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.05, 0.06]])
    apart = sampler.accept(entropies, [slice(0, 4), slice(4, 6)], 0.1, 1, 8)
    assert apart.all()


def test_slots_count_up_to_the_first_end_of_their_region() -> None:
    ids = torch.tensor([[5, 1, 7, 1, 6, 6]])
    counting = sampler.until_end(ids, [slice(0, 4), slice(4, 6)], END)
    assert counting.tolist() == [[True, True, False, False, True, True]]


def test_a_draft_is_settled_when_its_counting_slots_are_accepted_and_unchanged() -> None:
    ids, yes = torch.tensor([[5, 1, 7]]), torch.tensor([[True, True, False]])
    assert sampler.settled(ids, torch.tensor([[5, 1, 9]]), yes, yes).all()
    assert not sampler.settled(ids, torch.tensor([[4, 1, 9]]), yes, yes).any()
    assert not sampler.settled(ids, ids, torch.tensor([[True, False, True]]), yes).any()


def test_noise_depends_on_the_seed_alone() -> None:
    def drawn(seed: int) -> list[int]:
        noise = sampler.noise((20,), 96, torch.Generator().manual_seed(seed))
        return list(noise.tolist())

    assert drawn(1) == drawn(1) != drawn(2)


def test_drawing_follows_the_probabilities_and_is_greedy_at_temperature_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.tensor([0.7, 0.3, 0.0]).log().expand(1, 4000, 3) + 5
    assert sampler.draw(scores, 0.0, generator).eq(0).all()
    drawn = sampler.draw(scores, 1.0, generator)
    assert abs(float(drawn.eq(0).float().mean()) - 0.7) < 0.03
    assert not drawn.eq(2).any()


@given(
    seed=st.integers(0, 99), vocabulary=st.sampled_from([64, 96, 256, 1000]), sharpness=st.floats(0.01, 30)
)
def test_the_likeliest_is_the_slow_obvious_one(seed: int, vocabulary: int, sharpness: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = 30 * torch.tanh(sharpness * torch.randn(2, 5, vocabulary, generator=generator) / 30)
    probabilities = scores.softmax(-1)
    assert torch.equal(sampler.likeliest(probabilities), probabilities.argmax(-1))
