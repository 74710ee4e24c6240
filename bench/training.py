"""``python -m bench.training``: a training step of ours beside one written with transformers' own classes.

The same weights, rows, noise, losses (the encoder's next tokens and the canvas, one pass of decoding, no
self-conditioning, no balancing of experts), optimizer (AdamW, fused) and threads (one unless OMP_NUM_THREADS says
otherwise). Every step has another batch. Both keep freed memory and score only the tokens that count.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.figures import Figure, described, table, this_machine
from bench.processes import Stopwatch
from bench.warm import library
from dgemma_model.load import BUNDLED, TOKENIZER, load, stock_model
from dgemma_model.network import Layer, Network
from dgemma_model.tokenizer import Tokenizer
from dgemma_model.train import compiled
from dgemma_model.train.examples import Batch, Cutter, Row, RowMaker, Shape, collate
from dgemma_model.train.passes import canvas_ranges, packed_kind, prompt_ranges
from dgemma_model.train.train import (
    SHAPE,
    Recipe,
    half_precision,
    keep_freed_memory,
    noised,
    settle,
    step_losses,
)

EXPERTS = ("grouped_mm", "eager")
"""Transformers' ways to run experts, the fastest of which counts."""

BEFORE = 12
"""Steps that are not counted: what they compile and allocate is there later."""

Step = Callable[[Batch], Tensor]


def batches(tokenizer: Tokenizer, recipe: Recipe, count: int, shape: Shape) -> list[Batch]:
    """Rows of the standard library, as many of each file as training would make."""
    rng = random.Random(0)
    cutter, maker = Cutter(rng), RowMaker(tokenizer, shape, rng)
    found: list[Row] = []
    for text in library():
        if text and len(found) < 2 * recipe.rows * count:
            cuts = cutter.cuts(text, 1 + len(text) // recipe.characters_per_row)
            found += filter(None, (maker.row(text, spans) for spans in cuts))
    rng.shuffle(found)
    starts = range(0, recipe.rows * count, recipe.rows)
    return [collate(found[start : start + recipe.rows], shape, tokenizer.pad_id) for start in starts]


def our_step(network: Network, recipe: Recipe) -> Step:
    """As `dgemma_model.train.train` makes it."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)

    def step(batch: Batch) -> Tensor:
        encoder, canvas, _ = step_losses(network, batch, recipe, torch.Generator().manual_seed(0))
        return _descend(encoder + canvas, optimizer)

    return step


def stock_step(network: Network, recipe: Recipe, experts: str) -> Step:
    """As somebody would write it who has transformers."""
    model: Any = stock_model(network).train()
    model.set_experts_implementation(experts)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def step(batch: Batch) -> Tensor:
        canvas = noised(batch, network.config.vocab_size, recipe, torch.Generator().manual_seed(0))
        with half_precision(canvas.device, recipe):
            answer = model.model(
                input_ids=batch.prompt,
                position_ids=batch.prompt_positions,
                # Causal: transformers itself would take jumps of positions for packed sequences.
                attention_mask={"full_attention": None, "sliding_attention": None},
                decoder_input_ids=canvas,
                decoder_position_ids=batch.positions,
                decoder_attention_mask={"full_attention": batch.mask, "sliding_attention": batch.mask},
            )
            encoder = _cross_entropy(model, answer.encoder_last_hidden_state[:, :-1], *_next_tokens(batch))
            decoder = _cross_entropy(model, answer.last_hidden_state, batch.targets, batch.weights == 1)
        return _descend(encoder + decoder, optimizer)

    return step


def _next_tokens(batch: Batch) -> tuple[Tensor, Tensor]:
    """What the encoder should say, and where it counts; see `train.step_losses`."""
    inside = torch.arange(1, batch.prompt.shape[1]) < batch.lengths.unsqueeze(1)
    return batch.prompt[:, 1:], inside & (batch.prompt_positions.diff() == 1)


def _cross_entropy(model: Any, states: Tensor, targets: Tensor, counting: Tensor) -> Tensor:
    cap = model.final_logit_softcapping
    scores = torch.tanh(model.lm_head(states[counting]).float() / cap) * cap
    return F.cross_entropy(scores, targets[counting])


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def measure(recipe: Recipe, steps: int) -> list[Figure]:
    """Tokens a second of both, padding included, and the ratio."""
    dtype = recipe.dtype
    network = load(BUNDLED).requires_grad_(True).train()
    given = batches(Tokenizer.from_file(BUNDLED / TOKENIZER), recipe, BEFORE + steps, SHAPE)
    tokens = recipe.rows * (SHAPE.prompt + SHAPE.canvas)
    others = {experts: stock_step(network, recipe, experts) for experts in EXPERTS}
    with compiled.layers() if packed_kind("cpu", dtype) is None else contextlib.nullcontext():
        times = in_turns({"ours": our_step(network, recipe), **others}, given)
    arithmetic = [operations(network, batch) for batch in given[BEFORE:]]
    rate = median(done / seconds for done, seconds in zip(arithmetic, times["ours"], strict=True))
    best = min(EXPERTS, key=lambda experts: median(times[experts]))
    kind = str(dtype).removeprefix("torch.")
    ratio = median(b / a for a, b in zip(times["ours"], times[best], strict=True))
    return [
        Figure(f"training, {kind}, ours", tokens / median(times["ours"]), "tokens/s"),
        *(
            Figure(f"training, {kind}, transformers, {e}", tokens / median(times[e]), "tokens/s")
            for e in EXPERTS
        ),
        Figure(f"training, {kind}, ours faster by", ratio, "×", 3),
        Figure(f"training, {kind}, arithmetic of the model", rate / 1e9, "GFLOP/s"),
        Figure(f"training, {kind}, share of the fastest product", 100 * rate / peak(dtype), "%"),
    ]


def operations(network: Network, batch: Batch) -> float:
    """Floating-point operations that the products of a step ask for, forward and backward, padding left out."""
    (layer, *_), config = (part for part in network.layers if isinstance(part, Layer)), network.config
    dense = sum(weight.numel() for weight in (layer.qkv, layer.out, layer.gate_up, layer.down))
    experts = layer.experts.gate_up[0].numel() + layer.experts.down[0].numel()
    inside = int(batch.lengths.sum()) + int((batch.group >= 0).sum())
    scored = int(_next_tokens(batch)[1].sum()) + int((batch.weights == 1).sum())
    seen = sum(
        int((ranges[:, 1::2] - ranges[:, ::2]).sum())
        for ranges in (prompt_ranges(batch), canvas_ranges(batch))
    )
    layers = inside * (dense + config.top_k_experts * experts) + 2 * seen * layer.heads * layer.head_dim
    return 6.0 * (len(network.layers) * layers + scored * network.embedding.numel())


def peak(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large product."""
    side = 2048
    matrix, seconds = torch.randn(side, side).to(dtype), []
    for _ in range(9):
        watch = Stopwatch()
        matrix @ matrix
        seconds.append(watch.seconds)
    return 2 * side**3 / median(seconds)


def in_turns(steps: dict[str, Step], given: list[Batch]) -> dict[str, list[float]]:
    """Seconds of each step on every batch but the first ones, whose sizes are new to whatever compiles for a size."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for index, batch in enumerate(given):
        if index == BEFORE:
            settle()
        for name, step in steps.items():
            watch = Stopwatch()
            loss = step(batch)
            if index >= BEFORE:
                times[name].append(watch.seconds)
            print(f"{name}: loss {loss:.4f}, {watch.seconds:.2f} s", file=sys.stderr, flush=True)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__, allow_abbrev=False)
    parser.add_argument("--steps", type=int, default=9)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print(described(this_machine()), "\n", flush=True)
    figures: list[Figure] = []
    for bf16 in (False, True):
        recipe = Recipe(bf16=bf16, self_conditioning=0.0, pad_share=0.0)
        figures += measure(recipe, arguments.steps)
    print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
