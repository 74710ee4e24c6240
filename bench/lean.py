"""``python -m bench.lean`` compares the passes of our runner with transformers' own classes on the same weights.

It uses one thread unless OMP_NUM_THREADS says otherwise. Ratios compare neighbouring runs, so that they hold on a busy
machine too. ``--products`` compares ways to multiply the few rows of a canvas with a weight instead.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F

from bench.figures import Figure, table
from bench.processes import Stopwatch
from bench.report import introduce_machine, say
from dgemma_model.denoise import sampler
from dgemma_model.network.best_runner import best_runner
from dgemma_model.network.checkpoint import load, parameter_count, stock_model
from dgemma_model.network.config import NetworkConfig
from dgemma_model.network.folder import BUNDLED
from dgemma_model.network.layers import Network
from dgemma_model.network.runner import Runner

SLOTS, CONTEXT, WRITTEN = 32, 1024, 512
ROWS, ROW = 6, 12
LARGE = NetworkConfig(
    vocab_size=8192,
    hidden_size=384,
    intermediate_size=768,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=64,
    num_experts=8,
    top_k_experts=2,
    moe_intermediate_size=192,
    global_layers=(False,) * 7 + (True,),
)
PRODUCTS = (
    (384, 640),
    (384, 1536),
    (768, 384),
    (384, 3072),
    (1536, 384),
    (384, 8192),
    (192, 768),
    (192, 8192),
)
"""The inputs and outputs of linear layers."""

Step = Callable[[], object]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.lean", description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--products", action="store_true", help="compare matrix products")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    introduce_machine()
    if arguments.products:
        _products(arguments.rounds)
        return 0
    figures: list[Figure] = []
    for name, network in (("28 M", _large()), ("bundled", load(BUNDLED))):
        say(f"{name}: {parameter_count(network) / 1e6:.1f} M parameters")
        figures += measure(name, network, arguments.rounds)
    print(table(figures))
    return 0


def _large() -> Network:
    torch.manual_seed(0)
    network = Network(LARGE)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, 0.0, 0.05)
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def measure(name: str, network: Network, rounds: int) -> list[Figure]:
    """Time every kind of pass of the runner, and those that transformers has as well."""
    runner = best_runner(network)
    own, stock = _own(runner), _stock(network)
    large = name != "bundled"
    targets = {"step": 10.0, "cold": 100.0, "one more": 10.0} if large else {}
    wanted = {"step": 3.0}
    figures: list[Figure] = []
    for what, run in own.items():
        other = stock.get(what.split(":")[0])
        pairs = [(milliseconds(run), None if other is None else milliseconds(other)) for _ in range(rounds)]
        kind, _, told = what.partition(":")
        title = f"{name}, {runner.dtype}: {told}".replace("torch.", "")
        figures.append(Figure(title, median(a for a, _ in pairs), "ms", targets.get(kind)))
        ratios = [b / a for a, b in pairs if b is not None]
        if ratios:
            figures.append(
                Figure(f"{title}, faster than transformers by", median(ratios), "×", wanted.get(kind))
            )
    return figures


def _tokens(vocabulary: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, vocabulary, (length,), generator=generator), torch.arange(length)


def passes(runner: Runner, context: int) -> Mapping[str, Step]:
    """Return the passes that take longer for a longer prompt: over a canvas, over one more token, over the prompt."""
    ids, at = _tokens(runner.config.vocab_size, context + SLOTS)
    canvas, places = ids[None, context:], at[None, context:]
    prompt = runner.prompt()
    runner.store(prompt, ids[:context], at[:context])
    belief = runner.believe(runner.logits(runner.decode(canvas, places, prompt)).softmax(-1))

    def step() -> None:
        scores = runner.logits(runner.decode(canvas, places, prompt, belief))
        probabilities, _, entropies = runner.soften(scores)
        sampler.accept(entropies, (slice(0, SLOTS),), 0.1, 1, 4)
        runner.believe(probabilities)

    def extend() -> torch.Tensor:
        prompt.truncate(context)
        return runner.extend(prompt, ids[context : context + 1], at[context : context + 1])

    def cold() -> None:
        runner.store(runner.prompt(), ids[:context], at[:context])

    return {
        f"step:one step, {SLOTS} slots over {context} tokens, sampler and belief included": step,
        f"cold:{context} tokens of a prompt": cold,
        "one more:one more token": extend,
    }


def _own(runner: Runner) -> Mapping[str, Step]:
    ids, at = _tokens(runner.config.vocab_size, CONTEXT)
    shorter = runner.prompt()
    runner.store(shorter, ids[:WRITTEN], at[:WRITTEN])
    texts, texts_at = ids[: ROWS * ROW], at[WRITTEN : WRITTEN + ROW].repeat(ROWS)
    parents = [-1 if node % ROW == 0 else node - 1 for node in range(ROWS * ROW)]

    def write() -> torch.Tensor:
        shorter.truncate(WRITTEN)
        states = runner.extend(shorter, ids[WRITTEN : WRITTEN + 1], at[WRITTEN : WRITTEN + 1])
        return runner.logits(states).argmax(-1)

    def judge() -> torch.Tensor:
        shorter.truncate(WRITTEN)
        return runner.logits(runner.peek(shorter, texts, texts_at, parents))

    return {
        **passes(runner, CONTEXT),
        f"write:a token written behind {WRITTEN}": write,
        f"judge:{ROWS} continuations of {ROW} tokens judged behind {WRITTEN}": judge,
    }


def _stock(network: Network) -> Mapping[str, Step]:
    model: Any = stock_model(network)
    ids, at = (row[None] for row in _tokens(network.config.vocab_size, CONTEXT + SLOTS))
    mask = torch.ones(1, 1, CONTEXT, CONTEXT, dtype=torch.bool).tril()
    masks = {"full_attention": mask, "sliding_attention": mask}
    prompt = {"input_ids": ids[:, :CONTEXT], "position_ids": at[:, :CONTEXT], "attention_mask": masks}
    canvas = {"decoder_input_ids": ids[:, CONTEXT:], "decoder_position_ids": at[:, CONTEXT:]}
    first = model(**prompt, **canvas)

    def step() -> None:
        # Without its sampler, which is to its advantage.
        model(past_key_values=first.past_key_values, self_conditioning_logits=first.logits, **canvas)

    return {"step": step, "cold": lambda: model.model.encoder(**prompt)}


@torch.inference_mode()
def _products(rounds: int) -> None:
    """Print the microseconds of one linear layer on the rows of a canvas, for each way that was tried."""
    print("| in × out | " + " | ".join(_ways(8, 8)) + " |\n| --- |" + " ---: |" * len(_ways(8, 8)))
    for size in PRODUCTS:
        cells = []
        for make in _ways(*size).values():
            # Together the weights do not fit into a cache, as in a network.
            runs = [make() for _ in range(max(1, 20_000_000 // (size[0] * size[1])))]
            times = [milliseconds(lambda runs=runs: [run() for run in runs]) for _ in range(rounds)]  # type: ignore[misc]
            cells.append(f"{1000 * median(times) / len(runs):.0f}")
        print(f"| {size[0]} × {size[1]} | " + " | ".join(cells) + " |", flush=True)


def _ways(inside: int, outside: int) -> Mapping[str, Callable[[], Step]]:
    def linear(dtype: torch.dtype) -> Step:
        x, weight = torch.randn(SLOTS, inside).to(dtype), torch.randn(outside, inside).to(dtype)
        return lambda: F.linear(x, weight)

    def packed(dtype: torch.dtype, after: str = "none") -> Step:
        x, weight = torch.randn(SLOTS, inside).to(dtype), torch.randn(outside, inside).to(dtype)
        blocked = torch.ops.mkldnn._reorder_linear_weight(weight, SLOTS)
        kind = "tanh" if after == "gelu" else ""
        return lambda: torch.ops.mkldnn._linear_pointwise(x, blocked, None, after, [], kind)

    def eight_bits() -> Step:
        x, weight = torch.randn(SLOTS, inside), torch.randn(outside, inside)
        scales = weight.abs().amax(1) / 127
        zeros = torch.zeros(outside, dtype=torch.long)
        quantised = torch.quantize_per_channel(weight, scales.double(), zeros, 0, torch.qint8)
        blocked = torch.ops.quantized.linear_prepack(quantised, None)
        return lambda: torch.ops.quantized.linear_dynamic(x, blocked, False)

    return {
        "float32 F.linear": partial(linear, torch.float32),
        "float32 packed": partial(packed, torch.float32),
        "bfloat16 F.linear": partial(linear, torch.bfloat16),
        "bfloat16 packed": partial(packed, torch.bfloat16),
        "the same with GELU": partial(packed, torch.bfloat16, "gelu"),
        "int8 dynamic": eight_bits,
    }


def milliseconds(step: Step) -> float:
    """Time a second run, as a step follows another step and finds its data in the caches."""
    step()
    watch = Stopwatch()
    step()
    return watch.milliseconds


if __name__ == "__main__":
    sys.exit(main())
