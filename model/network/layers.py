"""The lean DiffusionGemma network: it computes what transformers' classes compute, in far fewer operations.

One set of layers is used in two ways. *Encode* runs the prompt causally; each layer leaves its keys and values behind.
*Decode* runs the canvas bidirectionally, reading the prompt's keys and values. All tensors are float32 unless the
caller converts the module. The network knows nothing of tokenizers, regions or noise.

This makes it lean: projections are fused (QKV; gate and up); the scale of each norm before a linear layer is multiplied
into that layer's weight, and not into the activations; the three norms of a block's input are computed once; and each
expert runs once, over the tokens that chose it.

The architecture is Google's DiffusionGemma as published in transformers (`models/diffusion_gemma`); the tests compare
the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgemma_model.network.config import NetworkConfig

KeysValues = tuple[Tensor, Tensor]
"""Keys and values of one layer, each [batch, key-value heads, tokens, head_dim], keys already rotated."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """The rotary embedding of some positions: cosines and sines, each [batch, tokens, 1, head_dim]."""

    cos: Tensor
    sin: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Rotate ``x`` [batch, tokens, heads, head_dim]."""
        first, second = x.chunk(2, -1)
        return x * self.cos + torch.cat((-second, first), -1) * self.sin


def unit_rms(x: Tensor, eps: float) -> Tensor:
    """Divide ``x`` by its root mean square over the last dimension."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


def gated(x: Tensor) -> Tensor:
    """Compute GELU(first half) × second half; GELU's tanh form is written as the equal sigmoid, which needs one exp."""
    gate, up = x.chunk(2, -1)
    return gate * torch.sigmoid(1.5957691216057308 * (gate + 0.044715 * gate * gate * gate)) * up


class Experts(nn.Module):
    """The experts: gated MLPs, of which a router chooses ``top_k`` for each token."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        experts, hidden, width = config.num_experts, config.hidden_size, config.moe_intermediate_size
        self.top_k = config.top_k_experts
        self.router_scale = nn.Parameter(torch.ones(hidden))
        self.router = nn.Parameter(torch.empty(experts, hidden))
        self.expert_scale = nn.Parameter(torch.ones(experts))
        self.norm = nn.Parameter(torch.ones(hidden))
        self.gate_up = nn.Parameter(torch.empty(experts, 2 * width, hidden))
        self.down = nn.Parameter(torch.empty(experts, hidden, width))
        self.imbalance: Tensor | None = None  # of the last training batch; the training loss needs it

    def forward(self, x: Tensor) -> Tensor:
        """Mix the experts' outputs for ``x`` [tokens, hidden], which has unit root mean square."""
        weights, order, counts = self.assign(x)
        weights = weights.to(x.dtype)
        tokens = order // self.top_k
        grouped = x[tokens].split(counts)
        outputs = [
            F.linear(gated(F.linear(part, gate_up)), down)
            for part, gate_up, down in zip(grouped, self.gate_up * self.norm, self.down, strict=True)
            if len(part)
        ]
        mixed = torch.cat(outputs) * weights.flatten()[order].unsqueeze(-1)
        return torch.zeros_like(x).index_add_(0, tokens, mixed)

    def assign(self, x: Tensor) -> tuple[Tensor, Tensor, list[int]]:
        """Let the router choose experts.

        Args:
            x: [tokens, hidden], with unit root mean square.

        Returns:
            The choices' weights [tokens, top_k], their order by expert [tokens × top_k], and each expert's number of
            choices.
        """
        probabilities, weights, chosen = self.route(x)
        counts = torch.bincount(chosen.flatten(), minlength=len(self.router)).tolist()
        if self.training:
            self.imbalance = _imbalance(probabilities, counts)
        return weights, chosen.flatten().argsort(stable=True), counts

    def route(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute probabilities [tokens, experts], and weights and indices of the chosen ones, each [tokens, top_k]."""
        scale = self.router_scale * x.shape[-1] ** -0.5
        probabilities = F.linear(x, self.router * scale).float().softmax(-1)
        weights, chosen = probabilities.topk(self.top_k, -1)
        weights = weights / weights.sum(-1, keepdim=True)
        return probabilities, weights * self.expert_scale[chosen], chosen


def _imbalance(probabilities: Tensor, counts: list[int]) -> Tensor:
    """Measure how unevenly the experts are used; 1 is even (Fedus et al., "Switch Transformers", 2021)."""
    fractions = torch.tensor(counts, dtype=probabilities.dtype, device=probabilities.device) / sum(counts)
    return len(counts) * (probabilities.mean(0) @ fractions)


class Layer(nn.Module):
    """One transformer layer: attention, then a dense MLP and the experts side by side."""

    def __init__(self, config: NetworkConfig, shared_keys_values: bool) -> None:
        super().__init__()
        hidden, head = config.hidden_size, config.head_dim
        self.heads, self.kv_heads, self.head_dim = (
            config.num_attention_heads,
            config.num_key_value_heads,
            head,
        )
        self.eps = config.rms_norm_eps
        self.shared = shared_keys_values
        projections = self.heads + self.kv_heads * (1 if shared_keys_values else 2)
        self.attention_norm = nn.Parameter(torch.ones(hidden))
        self.qkv = nn.Parameter(torch.empty(projections * head, hidden))
        self.query_norm = nn.Parameter(torch.ones(head))
        self.key_norm = nn.Parameter(torch.ones(head))
        self.out = nn.Parameter(torch.empty(hidden, self.heads * head))
        self.post_attention_norm = nn.Parameter(torch.ones(hidden))
        self.mlp_norm = nn.Parameter(torch.ones(hidden))
        self.gate_up = nn.Parameter(torch.empty(2 * config.intermediate_size, hidden))
        self.down = nn.Parameter(torch.empty(hidden, config.intermediate_size))
        self.post_mlp_norm = nn.Parameter(torch.ones(hidden))
        self.experts = Experts(config)
        self.post_experts_norm = nn.Parameter(torch.ones(hidden))
        self.post_norm = nn.Parameter(torch.ones(hidden))
        self.scalar: Tensor
        self.register_buffer("scalar", torch.ones(1))

    def project(self, x: Tensor, rotate: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Compute queries, keys and values of ``x`` [batch, tokens, hidden], each [batch, heads, tokens, head_dim]."""
        projected = F.linear(unit_rms(x, self.eps), self.qkv * self.attention_norm)
        projected = projected.unflatten(-1, (-1, self.head_dim))
        normed = unit_rms(projected, self.eps)
        query = rotate(normed[..., : self.heads, :] * self.query_norm)
        raw_key = normed[..., self.heads : self.heads + self.kv_heads, :]
        key = rotate(raw_key * self.key_norm)
        value = raw_key if self.shared else normed[..., self.heads + self.kv_heads :, :]
        return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Run the rest of the layer on the attention's output [batch, heads, tokens, head_dim]."""
        x, normed, dense = self.absorb(x, attended)
        return self.combine(x, dense, self.experts(normed.flatten(0, 1)).view_as(x))

    def absorb(self, x: Tensor, attended: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the residual stream after attention, its normed copy for the experts, and the dense MLP's output."""
        attended = F.linear(attended.transpose(1, 2).flatten(2), self.out)
        x = x + unit_rms(attended, self.eps) * self.post_attention_norm
        normed = unit_rms(x, self.eps)
        return x, normed, F.linear(gated(F.linear(normed, self.gate_up * self.mlp_norm)), self.down)

    def combine(self, x: Tensor, dense: Tensor, mixed: Tensor) -> Tensor:
        """Add the dense MLP's and the experts' outputs to the residual stream."""
        both = (
            unit_rms(dense, self.eps) * self.post_mlp_norm
            + unit_rms(mixed, self.eps) * self.post_experts_norm
        )
        return (x + unit_rms(both, self.eps) * self.post_norm) * self.scalar


class SelfConditioning(nn.Module):
    """Adds the last denoising step's belief to the canvas' embeddings (Chen et al., "Analog Bits", 2022)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        hidden, width = config.hidden_size, config.intermediate_size
        self.eps = config.rms_norm_eps
        self.norm = nn.Parameter(torch.ones(hidden))
        self.gate_up = nn.Parameter(torch.empty(2 * width, hidden))
        self.down = nn.Parameter(torch.empty(hidden, width))

    def forward(self, embedded: Tensor, belief: Tensor | None) -> Tensor:
        """Condition canvas embeddings [batch, slots, hidden] of unit root mean square; ``belief`` has their shape."""
        if belief is not None:
            signal = gated(F.linear(unit_rms(belief, self.eps), self.gate_up * self.norm))
            embedded = embedded + F.linear(signal, self.down)
        return unit_rms(embedded, self.eps)


class Network(nn.Module):
    """Encoder and decoder over one set of weights."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.empty(config.vocab_size, config.hidden_size))
        self.layers = nn.ModuleList(Layer(config, shared) for shared in config.global_layers)
        self.norm = nn.Parameter(torch.ones(config.hidden_size))
        self.self_conditioning = SelfConditioning(config)
        frequencies = config.rope_theta ** -(torch.arange(0, config.head_dim, 2).float() / config.head_dim)
        self.frequencies: Tensor
        self.register_buffer("frequencies", frequencies, persistent=False)

    def embed(self, ids: Tensor) -> Tensor:
        """Look up the token embeddings [batch, tokens, hidden] of ids [batch, tokens]."""
        embedded: Tensor = F.embedding(ids, self.embedding) * self.config.hidden_size**0.5
        return embedded

    def rotation(self, positions: Tensor) -> Rotation:
        """Compute the rotary embedding of document positions [batch, tokens]."""
        angles = (positions.unsqueeze(-1).float() * self.frequencies).repeat(1, 1, 2).unsqueeze(2)
        return Rotation(angles.cos().to(self.embedding.dtype), angles.sin().to(self.embedding.dtype))

    def encode(
        self,
        ids: Tensor,
        positions: Tensor,
        past: list[KeysValues] | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, list[KeysValues]]:
        """Run the prompt causally in the order of ``ids``.

        Args:
            ids: [batch, tokens]; they follow ``past`` if that is given.
            positions: document positions [batch, tokens], in any order.
            past: keys and values of the prompt before ``ids``.
            mask: booleans [tokens, past + tokens], True where a token may look; None for a causal mask.

        Returns:
            The last layer's states [batch, tokens, hidden], and every layer's keys and values of the whole prompt.
        """
        x, rotate = self.embed(ids), self.rotation(positions)
        if mask is None and past is not None:
            mask = _causal_mask(ids.shape[1], past[0][0].shape[2], ids.device)
        kept: list[KeysValues] = []
        for index, layer in enumerate(self._layers()):
            query, key, value = layer.project(x, rotate)
            if past is not None:
                key, value = _append(past[index], key, value)
            kept.append((key, value))
            attended = _attention(query, key, value, mask, causal=mask is None)
            x = layer.finish(x, attended)
        return x, kept

    def decode(
        self,
        ids: Tensor,
        positions: Tensor,
        prompt: list[KeysValues],
        belief: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Run the canvas bidirectionally over itself and the prompt.

        Args:
            ids: the canvases' tokens [batch, slots].
            positions: document positions [batch, slots].
            prompt: keys and values from `encode`; a batch of one is shared by the whole batch of canvases.
            belief: soft embeddings of the last step [batch, slots, hidden] (see `believe`), or None in the first.
            mask: booleans [batch, 1, slots, prompt + slots], True where a slot may look; None for everywhere.

        Returns:
            The final states [batch, slots, hidden]; `logits` turns them into scores.
        """
        x: Tensor = self.self_conditioning(self.embed(ids), belief)
        rotate = self.rotation(positions)
        for layer, kept in zip(self._layers(), prompt, strict=True):
            query, key, value = layer.project(x, rotate)
            key, value = _append(kept, key, value)
            x = layer.finish(x, _attention(query, key, value, mask))
        return x

    def logits(self, states: Tensor) -> Tensor:
        """Compute soft-capped scores [..., vocabulary] of final states [..., hidden]."""
        weight = self.embedding * (self.norm / self.config.softcap)
        scores: Tensor = F.linear(unit_rms(states, self.config.rms_norm_eps), weight).tanh()
        return scores.mul(self.config.softcap)

    def believe(self, probabilities: Tensor) -> Tensor:
        """Compute soft embeddings [..., hidden] of probabilities [..., vocabulary], to condition the next step."""
        belief: Tensor = probabilities @ self.embedding * self.config.hidden_size**0.5
        return belief

    def final(self, states: Tensor) -> Tensor:
        """Norm and scale final states [..., hidden] as the output embedding needs them."""
        return unit_rms(states, self.config.rms_norm_eps) * self.norm

    def _layers(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]


def _append(past: KeysValues, key: Tensor, value: Tensor) -> KeysValues:
    batch = key.shape[0]
    return (
        torch.cat((past[0].expand(batch, -1, -1, -1), key), 2),
        torch.cat((past[1].expand(batch, -1, -1, -1), value), 2),
    )


def _causal_mask(tokens: int, past: int, device: torch.device) -> Tensor:
    return torch.ones(tokens, past + tokens, dtype=torch.bool, device=device).tril(past)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool = False
) -> Tensor:
    # Queries and keys are normed and carry their own learned scale, hence scale 1.
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=causal, scale=1.0, enable_gqa=True
    )
