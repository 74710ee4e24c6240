"""A tiny network with random weights, for tests of what does not depend on what it has learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

import dgemma_model
from dgemma_model.fill.fitted import Fitted
from dgemma_model.fill.infiller import Infiller
from dgemma_model.layouts.infill import Budget
from dgemma_model.network.config import NetworkConfig
from dgemma_model.network.layers import Network
from dgemma_model.tokenizer import Tokenizer

TINY = NetworkConfig(
    vocab_size=96,
    hidden_size=32,
    intermediate_size=48,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    num_experts=4,
    top_k_experts=2,
    moe_intermediate_size=24,
    global_layers=(False, True),
)
CHECKPOINT = Path(dgemma_model.__file__).parent / "checkpoint"


def network(config: NetworkConfig = TINY, seed: int = 0) -> Network:
    """A network whose every weight matters."""
    torch.manual_seed(seed)
    made = Network(config)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, 0.0, 0.15)
        else:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return made.eval().requires_grad_(False)


def tokenizer() -> Tokenizer:
    """The bundled one."""
    return Tokenizer.from_file(CHECKPOINT / "tokenizer.json")


def infiller(seed: int = 0) -> Infiller:
    """Fills with nonsense, by the real path."""
    own = tokenizer()
    config = replace(TINY, vocab_size=own.vocab_size)
    budget = Budget(prefix=160, suffix=24, between=24)
    fitted = Fitted(proofreading=Fitted.of_checkpoint(CHECKPOINT).proofreading)
    return Infiller(network(config, seed), own, budget, CHECKPOINT, fitted)
