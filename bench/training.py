"""``python -m bench.training``: a training step of ours beside one written with transformers' own classes.

The same weights, rows, noise, losses (the encoder's next tokens and the canvas, one pass of decoding, no
self-conditioning, no balancing of experts) and optimizer (AdamW, fused). Every step has another batch. Both keep freed
memory and score only the tokens that count. They take turns in every way to use cores: one core; all cores by one
process with as many threads; all cores by a process for each, with a batch of its own, and the same mean of gradients.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.figures import Figure, described, table, this_machine
from bench.processes import Stopwatch
from bench.warm import library
from dgemma_model.network.checkpoint import load, stock_model
from dgemma_model.network.folder import BUNDLED, TOKENIZER
from dgemma_model.network.layers import Layer, Network
from dgemma_model.tokenizer import Tokenizer
from dgemma_model.train.data.examples import Batch, Cutter, Row, RowMaker, Shape, collate, take
from dgemma_model.train.losses import half_precision, noised, step_losses
from dgemma_model.train.memory import keep_freed_memory, settle
from dgemma_model.train.recipe import Recipe
from dgemma_model.train.step import compiled
from dgemma_model.train.step.parallel import Group, work_together
from dgemma_model.train.step.passes import canvas_ranges, packed_kind, prompt_ranges

EXPERTS = ("grouped_mm", "eager")
"""Transformers' ways to run experts, the fastest of which counts."""

TYPES = ("float32", "bfloat16")

BEFORE = 6
"""Steps that are not counted: what they compile and allocate is there later."""

Step = Callable[[Batch], Tensor]

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Cores:
    """A way to use cores.

    Attributes:
        name: in the table.
        threads: of each process.
        group: of the processes that work.
    """

    name: str
    threads: int
    group: Group


@dataclass(frozen=True, slots=True)
class Side:
    """Somebody's step on some cores."""

    who: str
    cores: Cores
    step: Step


def ways(group: Group) -> list[Cores]:
    """One core, then as many as the group has members, by threads and by processes."""
    count, one = group.size, Cores("1 core", 1, Group())
    if count == 1:
        return [one]
    threads = Cores(f"{count} cores by threads", count, Group())
    return [one, threads, Cores(f"{count} cores by processes", 1, group)]


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
    return [collate(take(found, recipe.rows), shape, tokenizer.pad_id) for _ in range(count)]


def our_step(network: Network, recipe: Recipe, group: Group) -> Step:
    """As `dgemma_model.train.run` makes it."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)

    def step(batch: Batch) -> Tensor:
        encoder, canvas, _ = step_losses(network, batch, recipe, torch.Generator().manual_seed(0))
        return _descend(encoder + canvas, optimizer, group)

    return step


def stock_step(network: Network, recipe: Recipe, group: Group, experts: str) -> Step:
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
        return _descend(encoder + decoder, optimizer, group)

    return step


def _next_tokens(batch: Batch) -> tuple[Tensor, Tensor]:
    """What the encoder should say, and where it counts; see `train.step_losses`."""
    inside = torch.arange(1, batch.prompt.shape[1]) < batch.lengths.unsqueeze(1)
    return batch.prompt[:, 1:], inside & (batch.prompt_positions.diff() == 1)


def _cross_entropy(model: Any, states: Tensor, targets: Tensor, counting: Tensor) -> Tensor:
    cap = model.final_logit_softcapping
    scores = torch.tanh(model.lm_head(states[counting]).float() / cap) * cap
    return F.cross_entropy(scores, targets[counting])


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer, group: Group) -> Tensor:
    loss.backward()
    group.average(optimizer.param_groups[0]["params"], [])
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def measure(recipe: Recipe, steps: int, group: Group) -> list[Figure]:
    """Tokens a second of both, padding included, their ratios, and what ours makes of one core."""
    tokenizer = Tokenizer.from_file(BUNDLED / TOKENIZER)
    given = batches(tokenizer, recipe, (BEFORE + steps) * group.size, recipe.shape)[group.rank :: group.size]
    with compiled.layers() if packed_kind("cpu", recipe.dtype) is None else contextlib.nullcontext():
        times = in_turns(sides(recipe, group), given, group)
    found = rates(recipe, times, ways(group))
    if group.leads:
        found += arithmetic(recipe, given[BEFORE:], times[OURS, "1 core"])
    meet(group)
    return found


def sides(recipe: Recipe, group: Group) -> list[Side]:
    """Everybody on all cores, each with weights of its own; ours computes in one thread, whatever it is given."""
    found = []
    for cores in ways(group):
        network = load(BUNDLED).requires_grad_(True).train()
        for experts in EXPERTS:
            found.append(Side(experts, cores, stock_step(network, recipe, cores.group, experts)))
        if cores.threads == 1:
            found.append(Side(OURS, cores, our_step(network, recipe, cores.group)))
    return found


Times = Mapping[tuple[str, str], Sequence[float]]
"""Seconds of each step, by whose it is and by the name of the cores."""


def in_turns(sides: Sequence[Side], given: Sequence[Batch], group: Group) -> Times:
    """Time each step from when all processes are ready to when all are done, or wait for the one that works alone.

    The first batches do not count: their sizes are new to whatever compiles for a size.
    """
    times: dict[tuple[str, str], list[float]] = {(side.who, side.cores.name): [] for side in sides}
    for index, batch in enumerate(given):
        if index == BEFORE:
            settle()
        for side in sides:
            torch.set_num_threads(side.cores.threads)
            meet(group)
            watch = Stopwatch()
            loss = side.step(batch) if group.leads or side.cores.group.size > 1 else None
            meet(group)
            if index >= BEFORE:
                times[side.who, side.cores.name].append(watch.seconds)
            if group.leads:
                _say(f"{side.who}, {side.cores.name}: loss {loss:.4f}, {watch.seconds:.2f} s")
    return times


def meet(group: Group) -> None:
    """Wait until all members are here."""
    group.average([], [0.0])


def rates(recipe: Recipe, times: Times, ways: Sequence[Cores]) -> list[Figure]:
    """Tokens a second of everybody, and how much faster ours is than the faster of the others on as many cores."""
    name = f"training, {str(recipe.dtype).removeprefix('torch.')}"
    tokens = recipe.rows * (recipe.shape.prompt + recipe.shape.canvas)
    known = {
        (who, cores): [tokens * cores.group.size / seconds for seconds in times[who, cores.name]]
        for cores in ways
        for who in (OURS, *EXPERTS)
        if (who, cores.name) in times
    }
    figures = [
        Figure(
            f"{name}, {'ours' if who == OURS else f'transformers ({who})'} on {cores.name}",
            median(each),
            "tokens/s",
        )
        for (who, cores), each in known.items()
    ]
    for cores in ways:
        own = cores if cores.threads == 1 else ways[-1]
        best = max(EXPERTS, key=lambda experts: median(known[experts, cores]))
        ratio = median(a / b for a, b in zip(known[OURS, own], known[best, cores], strict=True))
        what = f"{name}, ours on {own.name} faster than transformers on {cores.name}, by"
        figures.append(Figure(what, ratio, "×", 3))
    return figures


def arithmetic(recipe: Recipe, given: Sequence[Batch], times: Sequence[float]) -> list[Figure]:
    """What the model asks of one core in our steps, beside what that core can do."""
    torch.set_num_threads(1)
    network = load(BUNDLED)
    rate = median(operations(network, batch) / seconds for batch, seconds in zip(given, times, strict=True))
    name = f"training, {str(recipe.dtype).removeprefix('torch.')}, ours on 1 core"
    return [
        Figure(f"{name}, arithmetic of the model", rate / 1e9, "GFLOP/s"),
        Figure(f"{name}, share of the fastest product", 100 * rate / peak(recipe.dtype), "%"),
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__, allow_abbrev=False)
    parser.add_argument("--steps", type=int, default=9, help="that count, of each")
    parser.add_argument("--cores", type=int, default=2, help="that all cores are, for these measurements")
    parser.add_argument("--types", nargs="+", choices=TYPES, default=TYPES, help="of matrix products")
    arguments = parser.parse_args()
    work_together(work, arguments, arguments.cores)
    return 0


def work(group: Group, arguments: argparse.Namespace) -> None:
    """Measure as one of a group, and print the table as the one that leads it."""
    keep_freed_memory()
    torch.set_num_threads(1)
    if group.leads:
        print(described(this_machine()), "\n", flush=True)
    figures: list[Figure] = []
    for kind in arguments.types:
        recipe = Recipe(bf16=kind == "bfloat16", self_conditioning=0.0, pad_share=0.0)
        figures += measure(recipe, arguments.steps, group)
    if group.leads:
        print(table(figures))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
