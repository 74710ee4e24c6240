"""Times one denoising step of the runner and of transformers' own classes, in turns and on the same weights."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch

from bench.figures import Figure
from bench.processes import Stopwatch
from dgemma_model.network.best_runner import best_runner
from dgemma_model.network.checkpoint import load, stock_model
from dgemma_model.network.folder import BUNDLED
from dgemma_model.network.layers import Network

SLOTS, CONTEXT, ROUNDS = 32, 256, 15

Step = Callable[[], object]


@torch.inference_mode()
def one_step() -> list[Figure]:
    """Measure the milliseconds of both, and how many times faster the lean one is."""
    lean_network = load(BUNDLED)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, lean_network.config.vocab_size, (1, CONTEXT + SLOTS), generator=generator)
    positions = torch.arange(CONTEXT + SLOTS).expand(1, -1)
    lean, stock = _lean(lean_network, tokens, positions), _stock(lean_network, tokens, positions)
    lean(), stock()  # the first run of each allocates memory
    pairs = [(_milliseconds(lean), _milliseconds(stock)) for _ in range(ROUNDS)]
    name = f"one denoising step, {SLOTS} slots over {CONTEXT} tokens"
    return [
        Figure(f"{name}, lean network", median(pair[0] for pair in pairs), "ms"),
        Figure(f"{name}, transformers", median(pair[1] for pair in pairs), "ms"),
        Figure(f"{name}, lean network faster by", median(b / a for a, b in pairs), "×"),
    ]


def _lean(network: Network, tokens: torch.Tensor, positions: torch.Tensor) -> Step:
    runner = best_runner(network)
    prompt = runner.prompt()
    runner.store(prompt, tokens[0, :CONTEXT], positions[0, :CONTEXT])
    canvas, places = tokens[:, CONTEXT:], positions[:, CONTEXT:]
    belief = runner.believe(runner.logits(runner.decode(canvas, places, prompt)).softmax(-1))
    return lambda: runner.logits(runner.decode(canvas, places, prompt, belief))


def _stock(network: Network, tokens: torch.Tensor, positions: torch.Tensor) -> Step:
    model = stock_model(network)
    first = model(
        input_ids=tokens[:, :CONTEXT],
        position_ids=positions[:, :CONTEXT],
        decoder_input_ids=tokens[:, CONTEXT:],
        decoder_position_ids=positions[:, CONTEXT:],
    )
    return lambda: model(
        past_key_values=first.past_key_values,
        decoder_input_ids=tokens[:, CONTEXT:],
        decoder_position_ids=positions[:, CONTEXT:],
        self_conditioning_logits=first.logits,
    )


def _milliseconds(step: Step) -> float:
    watch = Stopwatch()
    step()
    return watch.milliseconds
