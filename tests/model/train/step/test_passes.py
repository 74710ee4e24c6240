"""Training passes without padding and with it: the same states, the same gradients."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dgemma_model.network import native_library
from dgemma_model.network.layers import Network
from dgemma_model.train.data.examples import Batch, Cutter, Row, RowMaker, Shape, collate
from dgemma_model.train.step import kernels, passes
from dgemma_model.train.step.passes import Packed, Padded, Passes
from tests.model.tiny import TINY, network, tokenizer

OWN = tokenizer()
SHAPE = Shape(prompt=96, canvas=96, suffix=24)
TEXT = "".join(f"def first_{n}(value):\n    other = value + {n}\n    return other * 2\n\n" for n in range(20))
EXACT = [kind for kind in native_library.processors() if kind != native_library.Processor.AVX512_BF16]


def batch(rows: int) -> Batch:
    rng = random.Random(rows)
    cutter, maker = Cutter(rng), RowMaker(OWN, SHAPE, rng)
    made: list[Row] = []
    for cuts in cutter.cuts(TEXT, 20 * rows):
        row = maker.row(TEXT, cuts)
        if row is not None and len(made) < rows:
            made.append(row)
    assert len(made) == rows
    return collate(made, SHAPE, OWN.pad_id)


def trainable() -> Network:
    made = network(replace(TINY, vocab_size=OWN.vocab_size))
    return made.requires_grad_(True).train()


def outcome(
    own: Passes, lean: Network, canvas: Tensor, belief: Tensor
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """States of both passes, and the gradients of something that hangs on each of them."""
    lean.zero_grad()
    states = [own.encode(), own.decode(canvas, None), own.decode(canvas, belief)]
    torch.manual_seed(1)
    sum((state * torch.randn_like(state)).sum() for state in states).backward()
    gradients = {name: part.grad.clone() for name, part in lean.named_parameters() if part.grad is not None}
    return [state.detach() for state in states], gradients


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("rows", [1, 5])
def test_without_padding_states_and_gradients_are_those_with_it(kind: str, rows: int) -> None:
    lean, given = trainable(), batch(rows)
    canvas, slots = given.targets, int((given.group >= 0).sum())
    belief = torch.randn(slots, TINY.hidden_size)
    states, gradients = outcome(Packed(lean, given, kind), lean, canvas, belief)
    wanted, wanted_gradients = outcome(Padded(lean, given), lean, canvas, belief)
    for own, other in zip(states, wanted, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-4)
    assert gradients.keys() == wanted_gradients.keys()
    for name, gradient in gradients.items():
        assert (gradient - wanted_gradients[name]).abs().max() <= 1e-4 * wanted_gradients[name].abs().max(), (
            name
        )


def test_each_slot_sees_what_the_mask_shows_it() -> None:
    given = batch(4)
    starts = given.lengths.cumsum(0) - given.lengths
    total, ranges = int(given.lengths.sum()), iter(passes.canvas_ranges(given).tolist())
    slots = [(row, slot) for row, slot in (given.group >= 0).nonzero().tolist()]
    for row, slot in slots:
        seen = given.mask[row, 0, slot]
        prompt, canvas = seen[: given.prompt.shape[1]].nonzero(), seen[given.prompt.shape[1] :].nonzero()
        wanted = {int(starts[row]) + at for at in prompt.flatten().tolist()}
        wanted |= {total + slots.index((row, at)) for at in canvas.flatten().tolist()}
        begin, end, own_begin, own_end = next(ranges)
        assert {*range(begin, end), *range(own_begin, own_end)} == wanted


def random_ranges(rng: random.Random, queries: int, keys: int) -> list[tuple[int, int, int, int]]:
    found = []
    for _ in range(queries):
        a, b, c, d = sorted(rng.randrange(keys + 1) for _ in range(4))
        found.append((a, b, c, d) if a < b or c < d else (0, 1, 0, 0))
    return found


@pytest.mark.parametrize("kind", native_library.processors())
@pytest.mark.parametrize("seed", range(6))
def test_attention_over_any_ranges_is_attention_behind_a_mask(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    torch.manual_seed(seed)
    groups, kv_heads, size = rng.choice((1, 2, 3)), rng.choice((1, 2)), rng.choice((8, 16, 40))
    queries, keys = rng.randrange(1, 90), rng.randrange(2, 150)
    shapes = ((queries, groups * kv_heads, size), (keys, kv_heads, size), (keys, kv_heads, size))
    given = [torch.randn(*shape).requires_grad_() for shape in shapes]
    ranges = random_ranges(rng, queries, keys)
    mask = torch.zeros(queries, keys, dtype=torch.bool)
    for query, (a, b, c, d) in enumerate(ranges):
        mask[query, a:b] = mask[query, c:d] = True
    own = kernels.Attention.apply(*given, torch.tensor(ranges, dtype=torch.int32), kind)
    plain = torch.nn.functional.scaled_dot_product_attention(
        *(part.transpose(0, 1)[None] for part in given), attn_mask=mask, scale=1.0, enable_gqa=True
    )[0].transpose(0, 1)
    weight = torch.randn_like(plain)
    within = 0.04 if kind == native_library.Processor.AVX512_BF16 else 1e-4
    assert (own - plain).abs().max() <= within * plain.abs().max()
    for a, b in zip(
        torch.autograd.grad((own * weight).sum(), given),
        torch.autograd.grad((plain * weight).sum(), given),
        strict=True,
    ):
        assert (a - b).abs().max() <= within * b.abs().max()
