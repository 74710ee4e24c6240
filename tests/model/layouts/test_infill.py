"""Where tokens and slots go."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.layouts.infill import (
    ALIGNMENT,
    BUCKETS,
    RESERVED,
    Budget,
    arrange,
    bucket,
    lay_out,
    prefix_tokens,
    suffix_tokens,
)
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.syntax.statements import Borders
from tests.model.tiny import tokenizer

TOKENIZER = tokenizer()
BORDERS = Borders()
BUDGET = Budget(prefix=64, suffix=24, between=16)
LINES = "".join(f"value_{n} = compute({n}, other)\n" for n in range(200))


def test_the_prompt_is_bos_then_what_follows_then_the_prefix() -> None:
    layout = arrange(bos=2, prefix=[10, 11, 12], later=[[20, 21]], slots=[16])
    assert layout.prompt == [2, 20, 21, 10, 11, 12]
    assert layout.prompt_positions == [0, 96, 97, 1, 2, 3]
    assert layout.canvas_positions == list(range(4, 20))


def test_every_region_lies_between_its_neighbours() -> None:
    layout = arrange(bos=2, prefix=[10, 11], later=[[20, 21, 22], [30]], slots=[16, 32])
    assert layout.canvas_positions[:16] == list(range(3, 19))
    assert layout.prompt_positions[1:4] == [96, 97, 98]
    assert layout.canvas_positions[16:] == list(range(99, 131))
    assert layout.prompt_positions[4] == 131
    assert layout.runs == [slice(0, 16), slice(16, 48)]


@given(
    prefix=st.integers(0, 80),
    later=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    widths=st.lists(st.sampled_from(BUCKETS[:3]), min_size=5, max_size=5),
)
def test_positions_never_collide_and_follow_the_document(
    prefix: int, later: list[int], widths: list[int]
) -> None:
    slots = widths[: len(later)]
    layout = arrange(2, [7] * prefix, [[8] * n for n in later], slots)
    positions = layout.prompt_positions + layout.canvas_positions
    assert len(set(positions)) == len(positions)
    tail = layout.prompt_positions[1 : 1 + sum(later)]
    assert tail == sorted(tail)
    assert all(at > layout.canvas_positions[slots[0] - 1] for at in tail)
    assert layout.prompt_positions[1 + sum(later) :] == list(range(1, prefix + 1))


def test_typing_moves_the_text_behind_the_region_only_once_in_a_while() -> None:
    starts = [arrange(2, [7] * n, [[8]], [16]).prompt_positions[1] for n in range(200)]
    moves = sum(a != b for a, b in itertools.pairwise(starts))
    assert moves <= 200 / ALIGNMENT + 1


def test_widening_a_narrow_region_moves_nothing() -> None:
    narrow, wide = (arrange(2, [7] * 40, [[8] * 3], [slots]) for slots in (16, RESERVED))
    assert narrow.prompt_positions == wide.prompt_positions


def test_a_bucket_holds_the_tokens_and_the_end() -> None:
    assert [bucket(n) for n in (0, 15, 16, 63, 64, 255, 256, 9999)] == [16, 16, 32, 64, 128, 256, 256, 256]


def test_text_far_from_the_region_is_left_out_within_the_budget() -> None:
    layout = lay_out(MaskedText((LINES, LINES, LINES), ("", "")), [16, 16], TOKENIZER, BUDGET, BORDERS)
    assert len(layout.prompt) <= 1 + BUDGET.prefix + BUDGET.between + BUDGET.suffix
    assert TOKENIZER.decode(layout.prompt[-8:]) in LINES[-60:]


def test_the_prefix_keeps_its_beginning_while_somebody_types() -> None:
    beginnings = set()
    for typed in range(120):
        tokens = prefix_tokens(
            LINES + "another_name = 1 + 2 + 3\n" * 5 + "x" * typed, TOKENIZER, 256, BORDERS
        )
        assert 128 < len(tokens) <= 256
        beginnings.add(tuple(tokens[:3]))
    assert len(beginnings) <= 3


METHOD = (
    "    @property\n"
    "    def name(\n        self,\n    ):\n"
    '        """Said\n        twice."""\n'
    "        found = {\n            'a': 1,\n            'b': 2,\n        }\n"
    "        return found\n\n"
)
STATEMENTS = ("    @property", '        """Said', "        found = {", "        return found", "class A:")


@given(st.integers(0, 400), st.sampled_from([128, 256, 384]))
def test_a_long_prefix_begins_with_a_statement(typed: int, budget: int) -> None:
    text = "class A:\n" + METHOD * 20 + "x = 1\n" * (typed % 7) + "y" * typed
    first, *_ = TOKENIZER.decode(
        prefix_tokens(text[: len(text) - typed // 2], TOKENIZER, budget, BORDERS)
    ).split("\n")
    assert first.startswith((*STATEMENTS, "x = 1", "y"))


def test_where_there_are_no_statements_a_long_prefix_begins_with_a_line() -> None:
    text = "".join(f"- key: [{number}, {{a: b}}]\n" for number in range(400))
    kept = TOKENIZER.decode(prefix_tokens(text, TOKENIZER, 128, BORDERS))
    assert text.endswith("\n" + kept)


def test_a_line_that_never_ends_is_cut_anywhere() -> None:
    tokens = prefix_tokens("x" * 5000, TOKENIZER, 64, BORDERS)
    assert 0 < len(tokens) <= 64


def test_a_short_prefix_and_suffix_are_whole() -> None:
    assert TOKENIZER.decode(prefix_tokens("import os\n", TOKENIZER, 64, BORDERS)) == "import os\n"
    assert TOKENIZER.decode(suffix_tokens(")\n", TOKENIZER, 64)) == ")\n"
