"""Small random networks of both families, as transformers has them, and what they are grown into."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    DiffusionGemmaForBlockDiffusion,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

TEXT = "def add(first, second):\n    return first + second\n\n\nclass Shelf:\n    books = ['a', 'b']  # naïve 😋\n"
SHAPE = {
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": None,
    "pad_token_id": None,
}


def tokenizer() -> Tokenizer:
    """A byte-level BPE with some merges, and two special tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator([TEXT * 4], trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet))
    made.add_special_tokens(["<|end|>", "<|start|>"])
    return made


def qwen2(**changes: Any) -> PreTrainedModel:
    return _random(Qwen2ForCausalLM(Qwen2Config(**(_sized(changes)))))


def llama(**changes: Any) -> PreTrainedModel:
    return _random(LlamaForCausalLM(LlamaConfig(**(_sized(changes)))))


def _sized(changes: dict[str, Any]) -> dict[str, Any]:
    words = tokenizer()
    end = words.token_to_id("<|end|>")
    return SHAPE | {"vocab_size": words.get_vocab_size() + 6, "eos_token_id": end} | changes


def _random(model: PreTrainedModel) -> PreTrainedModel:
    """Weights that bfloat16 holds exactly, so that a copy in it is the same network; biases that matter."""
    torch.manual_seed(7)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape)
        if parameter.ndim == 1:
            parameter.data = 0.3 * noise + ("norm" in name)
        else:
            parameter.data = ((0.02 if "embed" in name else 0.15) * noise).bfloat16().float()
    return model.eval()


def save(model: PreTrainedModel, folder: Path) -> Path:
    """The model with its tokenizer, as the hub has them."""
    model.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def change(folder: Path, **fields: Any) -> Path:
    """Change a folder's config.json; None takes a field out."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8")) | fields
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}), "utf-8")
    return folder


def stock(folder: Path) -> DiffusionGemmaForBlockDiffusion:
    """A grown repository in transformers' own classes, complete and in float32."""
    loaded, report = DiffusionGemmaForBlockDiffusion.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert (report["missing_keys"], report["unexpected_keys"]) == (set(), set())
    loaded.eval()
    return loaded


@torch.no_grad()
def encoder_logits(model: DiffusionGemmaForBlockDiffusion, ids: Tensor) -> Tensor:
    """[rows, tokens, vocabulary]"""
    states = model.model.encoder.language_model(input_ids=ids).last_hidden_state
    return capped(model, model.lm_head(states))


def capped(model: DiffusionGemmaForBlockDiffusion, logits: Tensor) -> Tensor:
    limit = model.final_logit_softcapping
    return torch.tanh(logits / limit) * limit


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the largest number."""
    return ((one - other).abs().max() / other.abs().max()).item()


def ids_below(limit: int, rows: int = 2, tokens: int = 40) -> Tensor:
    return torch.randint(0, limit, (rows, tokens), generator=torch.Generator().manual_seed(3))


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.iterdir()):
        yield path.name, path.read_bytes()
