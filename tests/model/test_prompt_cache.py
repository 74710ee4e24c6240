"""Reuse of the prompt's keys and values."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.layout import MaskedText, lay_out
from dgemma_model.prompt_cache import PromptCache
from tests.model.tiny import infiller, network

Prompt = list[tuple[int, int]]
PROMPTS = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=8), min_size=2, max_size=4
)


@given(PROMPTS)
def test_the_cached_path_equals_the_uncached_one(prompts: list[Prompt]) -> None:
    lean = network()
    cache = PromptCache(lean)
    seen: list[Prompt] = [[]]
    for prompt in prompts:
        ids, at = ([token[column] for token in prompt] for column in (0, 1))
        kept, encoded = cache.encode(ids, at)
        _, reference = lean.encode(torch.tensor([ids]), torch.tensor([at]))
        for (key, value), (other_key, other_value) in zip(kept, reference, strict=True):
            torch.testing.assert_close(key, other_key, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(value, other_value, rtol=1e-4, atol=1e-5)
        assert encoded == len(prompt) - max(common(before, prompt) for before in seen)
        seen.append(prompt)


def common(first: Prompt, second: Prompt) -> int:
    pairs = list(zip(first, second, strict=False))
    return next((n for n, (a, b) in enumerate(pairs) if a != b), len(pairs))


def test_one_more_character_encodes_a_handful_of_tokens() -> None:
    own = infiller()
    prefix = "import os\n\n\ndef join_paths(first, second):\n    "
    typed = "return os.path.join(first, second)"
    cache = PromptCache(own.network)
    fresh = []
    for count in range(len(typed) + 1):
        masked = MaskedText((prefix + typed[:count], "\n\n\nprint(join_paths('a', 'b'))\n"), ("",))
        layout = lay_out(masked, [16], own.tokenizer, own.budget)
        fresh.append(cache.encode(layout.prompt, layout.prompt_positions)[1])
    whole = fresh.pop(0)
    moved = [count for count in fresh if count > 8]
    assert whole > 20
    assert len(moved) <= 1, "only where the text behind the region moves on by the alignment"
