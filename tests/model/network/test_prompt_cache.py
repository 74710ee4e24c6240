"""Reuse of the prompt's keys and values."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.layouts.masked import MaskedText
from dgemma_model.network.prompt_cache import PromptCache
from dgemma_model.network.runner import Prompt, Runner
from dgemma_model.network.torch_runner import TorchRunner
from tests.model.tiny import infiller, network

Tokens = list[tuple[int, int]]
PROMPTS = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=8), min_size=2, max_size=4
)


@given(PROMPTS, st.sampled_from([0, 2, 8]))
def test_the_cached_path_equals_the_uncached_one(prompts: list[Tokens], expendable: int) -> None:
    runner = TorchRunner(network())
    cache = PromptCache(runner, expendable=expendable)
    seen: list[Tokens] = [[]]
    for prompt in prompts:
        ids, at = ([token[column] for token in prompt] for column in (0, 1))
        known = cache.known(ids, at)
        kept, encoded = cache.encode(ids, at)
        assert kept.length == len(prompt)
        assert_same(runner, kept, fresh(runner, ids, at))
        assert encoded == len(prompt) - known
        possible = max(common(before, prompt) for before in seen)
        assert possible - expendable <= known <= possible
        seen.append(prompt)


@given(st.lists(st.integers(1, 30), min_size=6, max_size=12))
def test_buffers_that_are_used_again_hold_nothing_of_before(lengths: list[int]) -> None:
    runner = TorchRunner(network())
    cache = PromptCache(runner, prompts=2)
    for seed, length in enumerate(lengths):
        ids = [(7 * seed) % 96, *range(1, length)]  # never begins like another one
        kept, encoded = cache.encode(ids, list(range(length)))
        assert encoded == length
        assert_same(runner, kept, fresh(runner, ids, list(range(length))))


def fresh(runner: Runner, ids: list[int], at: list[int]) -> Prompt:
    made = runner.prompt()
    runner.store(made, torch.tensor(ids), torch.tensor(at))
    return made


def assert_same(runner: Runner, first: Prompt, second: Prompt) -> None:
    """What a canvas sees of both."""
    canvas, at = torch.arange(4)[None], torch.arange(40, 44)[None]
    states = (runner.decode(canvas, at, prompt) for prompt in (first, second))
    torch.testing.assert_close(*states, rtol=1e-4, atol=1e-4)


def common(first: Tokens, second: Tokens) -> int:
    pairs = list(zip(first, second, strict=False))
    return next((n for n, (a, b) in enumerate(pairs) if a != b), len(pairs))


def test_one_more_character_encodes_a_handful_of_tokens() -> None:
    own = infiller()
    prefix = "import os\n\n\ndef join_paths(first, second):\n    "
    typed = "return os.path.join(first, second)"
    cache = PromptCache(own.runner)
    fresh = []
    for count in range(len(typed) + 1):
        masked = MaskedText((prefix + typed[:count], "\n\n\nprint(join_paths('a', 'b'))\n"), ("",))
        layout = own.prompts.lay_out(masked, [16])
        fresh.append(cache.encode(layout.prompt, layout.prompt_positions)[1])
    whole = fresh.pop(0)
    moved = [count for count in fresh if count > 8]
    assert whole > 20
    assert len(moved) <= 1, "only where the text behind the region moves on by the alignment"
