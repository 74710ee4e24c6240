"""What a step of training is judged by: the losses of the encoder and of the canvas, and the load of the experts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dgemma_model.network.layers import Experts, Network
from dgemma_model.train.data.examples import Batch
from dgemma_model.train.recipe import Recipe
from dgemma_model.train.step.loss import capped_cross_entropy
from dgemma_model.train.step.passes import Passes, best_passes

_SLOTS = 128  # whose scores stay in cache


@dataclass(slots=True)
class Losses:
    """Running means of a step's losses, in nats a token."""

    encoder: float = 0.0
    canvas: float = 0.0
    imbalance: float = 0.0

    def add(self, encoder: float, canvas: float, imbalance: float, decay: float) -> None:
        """Take another step in; ``decay`` is the weight of what was before."""
        for name, value in (("encoder", encoder), ("canvas", canvas), ("imbalance", imbalance)):
            setattr(self, name, decay * getattr(self, name) + (1 - decay) * value)


def step_losses(
    network: Network,
    batch: Batch,
    recipe: Recipe,
    generator: torch.Generator,
    self_conditioned: bool | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Encoder loss, canvas loss and experts' imbalance of a batch, self-conditioned by chance unless told."""
    device = network.embedding.device
    passes = best_passes(network, batch, recipe.dtype)
    with half_precision(device, recipe):
        states = passes.encode()
    canvas = noised(batch, network.config.vocab_size, recipe, generator)
    belief = None
    with half_precision(device, recipe):
        if self_conditioned is None:
            self_conditioned = torch.rand((), generator=generator).item() < recipe.self_conditioning
        if self_conditioned:
            belief = _first_answer(network, passes, canvas)
        decoded = passes.decode(canvas, belief)
    weights = _thinned(batch.weights.flatten(), recipe.pad_share, generator)[passes.used.flatten()]
    encoder = _encoder_loss(network, states, batch, passes.inside, recipe, generator)
    final = network.final(decoded.float())
    loss = _cross_entropy(network, final, batch.targets[passes.used], weights, recipe, generator)
    routers = [module.imbalance for module in network.modules() if isinstance(module, Experts)]
    return encoder, loss, torch.stack([value for value in routers if value is not None]).mean()


def half_precision(device: torch.device, recipe: Recipe) -> torch.autocast:
    """bfloat16 for the matrix products inside, where the recipe wants it; weights, norms and the loss stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.bf16)


def noised(batch: Batch, vocabulary: int, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """The canvases as they are given to the network.

    A share t of each one's slots is replaced by random tokens, t being drawn for each canvas; drafts are left alone.
    """
    rows, slots = batch.targets.shape
    share = torch.rand(rows, slots, generator=generator)  # one for each canvas at most
    fully = torch.rand(rows, slots, generator=generator) < recipe.fully_noised
    share = share.masked_fill(fully, 1.0).gather(1, batch.group.clamp(min=0))
    replaced = torch.rand(rows, slots, generator=generator) < share
    noise = torch.randint(0, vocabulary, (rows, slots), generator=generator)
    return torch.where(batch.start >= 0, batch.start, torch.where(replaced, noise, batch.targets))


@torch.no_grad()
def _first_answer(network: Network, passes: Passes, canvas: Tensor) -> Tensor:
    states = passes.decode(canvas, None).split(_SLOTS)
    return torch.cat([network.believe(network.logits(part).softmax(-1)) for part in states])


def _encoder_loss(
    network: Network, states: Tensor, batch: Batch, inside: Tensor, recipe: Recipe, generator: torch.Generator
) -> Tensor:
    """Next-token loss of the prompts and their continuations, where the next token stands right behind."""
    follows = inside[:, 1:] & (batch.prompt_positions.diff() == 1)
    weights = torch.nn.functional.pad(follows, (0, 1)).float()[inside]
    targets = batch.prompt.roll(-1, 1)[inside]
    return _cross_entropy(network, network.final(states.float()), targets, weights, recipe, generator)


def _cross_entropy(
    network: Network,
    final: Tensor,
    targets: Tensor,
    weights: Tensor,
    recipe: Recipe,
    generator: torch.Generator,
) -> Tensor:
    device, rows = final.device, weights.nonzero().squeeze(1)
    chosen = weights[rows].to(device)
    total = capped_cross_entropy(
        final[rows.to(device)],
        network.embedding,
        targets[rows].to(device),
        chosen,
        network.config.softcap,
        recipe.bf16,
        generator if recipe.bf16 else None,
    )
    return total / chosen.sum()


def _thinned(weights: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Slots of small weight kept at random with that probability, at weight 1: the same sum for less work."""
    drawn = torch.rand(weights.shape, generator=generator) < share
    return torch.where(weights < 1, (drawn & (weights > 0)).float(), weights)
