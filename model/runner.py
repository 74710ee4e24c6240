"""The network as it is run: the weights of `network` in the layout in which a CPU multiplies fastest.

`network` is the obvious, trainable form and this file is held equal to it by the tests. What makes it faster:

* weights are laid out once (oneDNN's blocked layout), and every factor that stands in front of one is multiplied
  into it: norm scales, √hidden, √head_dim, the experts' scales, the softcap;
* GELU, the gate's product and the softcap's tanh are done by the matrix product that makes their input;
* keys and values stand in buffers that are written in place, keys as columns, so that nothing is concatenated;
* few tokens go through all experts in three products, many through the chosen experts only;
* all tokens of a batch attend in one product over the one prompt that they share;
* sizes are rounded up, since oneDNN compiles a product anew (0.6 ms) for each size that it has not seen.
"""

from __future__ import annotations

import functools
import math
import platform
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dgemma_model.network import Experts, Layer, Network, SelfConditioning

PIECE = 256
"""Tokens of a prompt that are run at once: a longer piece would compute more scores above the causal diagonal."""
STEP = 64
"""Keys are looked at in multiples of it, and experts' tokens computed in multiples of a quarter."""
FEW = 96
"""Up to so many tokens, all experts together are faster than the chosen ones one by one."""
FEW_EXPERTS = 16
"""With more experts than that it is never so."""


def fastest_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on a CPU that multiplies it in hardware, else float32."""
    fast = (
        device.type == "cpu"
        and _has_onednn()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    )
    return torch.bfloat16 if fast else torch.float32


def _has_onednn() -> bool:
    on_x86 = platform.machine().lower() in {"x86_64", "amd64"}
    return on_x86 and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class Plain:
    """A linear layer without bias, [tokens, in] → [tokens, out], on any device."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self._weight)

    def gelu(self, x: Tensor) -> Tensor:
        return F.gelu(self(x), approximate="tanh")

    def tanh(self, x: Tensor) -> Tensor:
        return self(x).tanh_()

    def times(self, x: Tensor, factor: Tensor) -> Tensor:
        """The product with ``factor`` [tokens, out]."""
        return self(x).mul_(factor)


class Packed:
    """The same by oneDNN: the weight laid out once, what follows it done on the way out."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 32)
        self._linear = torch.ops.mkldnn._linear_pointwise.default
        self._linear_binary = torch.ops.mkldnn._linear_pointwise.binary

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = self._linear(x, self._weight, None, "none", [], "")
        return y

    def gelu(self, x: Tensor) -> Tensor:
        y: Tensor = self._linear(x, self._weight, None, "gelu", [], "tanh")
        return y

    def tanh(self, x: Tensor) -> Tensor:
        y: Tensor = self._linear(x, self._weight, None, "tanh", [], "")
        return y

    def times(self, x: Tensor, factor: Tensor) -> Tensor:
        """The product with ``factor`` [tokens, out]."""
        y: Tensor = self._linear_binary(x, factor, self._weight, None, "mul")
        return y


Linear = Plain | Packed


def pack(weight: Tensor, dtype: torch.dtype) -> Linear:
    """The linear layer with ``weight`` [out, in]."""
    weight = weight.to(dtype)
    return Packed(weight) if weight.device.type == "cpu" and _has_onednn() else Plain(weight)


class _Unit:
    """Divides rows of a given width by their length; √width times that is a norm's unit root mean square."""

    def __init__(self, width: int, eps: float, dtype: torch.dtype) -> None:
        self._floor = torch.tensor(math.sqrt(width * eps), dtype=dtype)  # as far as the norm's epsilon goes

    def __call__(self, x: Tensor) -> Tensor:
        return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), self._floor)


class _Gate:
    """The first half of a gated MLP: gate and up."""

    def __init__(self, gate_up: Tensor, dtype: torch.dtype) -> None:
        gate, up = gate_up.chunk(2)
        self._gate, self._up = pack(gate, dtype), pack(up, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return self._up.times(x, self._gate.gelu(x))


class _Experts:
    """Top-k mixture of gated MLPs, over rows of unit length."""

    def __init__(self, experts: Experts, dtype: torch.dtype) -> None:
        hidden = experts.router.shape[-1]
        self._top_k = experts.top_k
        self._router = pack(experts.router * experts.router_scale, dtype)  # √hidden cancels its own 1/√hidden
        gate_up = experts.gate_up * (experts.norm * hidden**0.5)  # [experts, 2 × width, hidden]
        down = experts.down * experts.expert_scale[:, None, None]  # [experts, hidden, width]
        self._each = [
            (_Gate(first, dtype), pack(last, dtype)) for first, last in zip(gate_up, down, strict=True)
        ]
        self._gate: _Gate | None = None
        if len(down) <= FEW_EXPERTS:
            self._gate = _Gate(torch.cat([part.flatten(0, 1) for part in gate_up.chunk(2, 1)]), dtype)
            self._down = pack(down.transpose(0, 1).flatten(1), dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Mix the experts' outputs for ``x`` [tokens, hidden]."""
        scores, chosen = self._router(x).topk(self._top_k)  # each [tokens, top_k]
        weights = scores.softmax(-1)  # of the chosen ones: the same as their probabilities made to sum to one
        if len(x) == 1:
            return self._mix_one(x, weights, chosen[0].tolist())
        if self._gate is None or len(x) > FEW:
            return self._mix_chosen(x, weights, chosen)
        shares = weights.new_zeros(len(x), len(self._each)).scatter_(1, chosen, weights)
        gated = self._gate(x).view(len(x), len(self._each), -1).mul_(shares.unsqueeze(-1))
        return self._down(gated.flatten(1))

    def _mix_one(self, x: Tensor, weights: Tensor, chosen: list[int]) -> Tensor:
        outputs = [down(gate(x)) for gate, down in (self._each[expert] for expert in chosen)]
        return weights @ torch.cat(outputs)

    def _mix_chosen(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        places, sizes = _group(chosen.flatten(), len(self._each))
        tokens = places.new_zeros(sum(sizes))
        tokens[places] = torch.arange(len(places), device=x.device) // self._top_k
        grouped = x.index_select(0, tokens).split(sizes)
        outputs = [
            down(gate(part)) for part, (gate, down) in zip(grouped, self._each, strict=True) if len(part)
        ]
        of_choices = torch.cat(outputs).index_select(0, places).view(len(x), self._top_k, -1)
        return of_choices.mul_(weights.unsqueeze(-1)).sum(1)


def _group(experts: Tensor, count: int) -> tuple[Tensor, list[int]]:
    """Where each choice of an expert [choices] goes when they are grouped by expert, and the groups' rounded sizes."""
    step = STEP // 4
    counts = torch.bincount(experts, minlength=count)
    sizes = (counts + step - 1) // step * step
    order = experts.argsort(stable=True)
    shift = (sizes.cumsum(0) - sizes) - (counts.cumsum(0) - counts)
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device) + shift[experts[order]]
    return places, sizes.tolist()


class _Memory(NamedTuple):
    """One layer's keys [heads, head_dim, tokens] and values [heads, tokens, head_dim], and the part to be written."""

    keys: Tensor
    values: Tensor
    new_keys: Tensor
    new_values: Tensor


class Prompt:
    """Keys and values of one prompt, for all layers, in buffers with room behind them."""

    def __init__(self, layers: int, heads: int, head_dim: int, like: Tensor) -> None:
        self.length = 0
        self._keys = like.new_empty(layers, heads, head_dim, 0)
        self._values = like.new_empty(layers, heads, 0, head_dim)

    def truncate(self, length: int) -> None:
        """Forget all but the first ``length`` tokens."""
        self.length = min(self.length, length)

    def copy(self, other: Prompt, length: int) -> None:
        """Become the first ``length`` tokens of another prompt, or of this one."""
        if other is self:
            return self.truncate(length)
        self.length = 0
        self.reserve(length)
        self._keys[..., :length] = other._keys[..., :length]
        self._values[:, :, :length] = other._values[:, :, :length]
        self.length = length

    def reserve(self, tokens: int) -> None:
        """Make room for so many further tokens."""
        wanted, capacity = _round_up(self.length + tokens), self._values.shape[2]
        if wanted <= capacity:
            return
        # An odd multiple: in rows a power of two apart, the same columns would share a few lines of the cache.
        capacity = max(2 * capacity, wanted) // STEP * STEP | STEP
        # Zeros, since what lies behind the end is multiplied too, by zero.
        keys = self._keys.new_zeros(*self._keys.shape[:3], capacity)
        values = self._values.new_zeros(*self._values.shape[:2], capacity, self._values.shape[3])
        keys[..., : self.length] = self._keys[..., : self.length]
        values[:, :, : self.length] = self._values[:, :, : self.length]
        self._keys, self._values = keys, values

    def memories(self, tokens: int) -> Iterator[_Memory]:
        """For each layer what ``tokens`` further tokens look at, themselves included."""
        self.reserve(tokens)
        begin, end = self.length, self.length + tokens
        keys, values = self._keys[..., : _round_up(end)], self._values[:, :, : _round_up(end)]
        parts = (keys, values, keys[..., begin:end], values[:, :, begin:end])
        return (_Memory(*layer) for layer in zip(*(part.unbind() for part in parts), strict=True))


def _round_up(length: int) -> int:
    return -(-length // STEP) * STEP


class _Layer:
    """One transformer layer over [tokens, hidden]."""

    def __init__(self, layer: Layer, dtype: torch.dtype) -> None:
        hidden, head = layer.qkv.shape[1], layer.head_dim
        root = hidden**0.5
        self._heads, self._kv_heads, self._shared = layer.heads, layer.kv_heads, layer.shared
        self._unit, self._head_unit = _Unit(hidden, layer.eps, dtype), _Unit(head, layer.eps, dtype)
        self._qkv = pack(layer.qkv * (layer.attention_norm * root), dtype)
        turn = (layer.query_norm.expand(layer.heads, -1), layer.key_norm.expand(layer.kv_heads, -1))
        self._turn = (torch.cat(turn) * head**0.5).to(dtype)  # [heads, head_dim]
        self._out = pack(layer.out * head**0.5, dtype)  # √head_dim of the values' norm
        self._gate = _Gate(layer.gate_up * (layer.mlp_norm * root), dtype)
        self._down = pack(layer.down, dtype)
        self._experts = _Experts(layer.experts, dtype)
        self._post_attention = (layer.post_attention_norm * root).to(dtype)
        self._post_mlp = (layer.post_mlp_norm * root).to(dtype)
        self._post_experts = (layer.post_experts_norm * root).to(dtype)
        self._post = (layer.post_norm * root).to(dtype)
        self._scalar = float(layer.scalar)

    def __call__(self, x: Tensor, cos: Tensor, sin: Tensor, memory: _Memory, mask: Tensor) -> Tensor:
        """Run tokens.

        Args:
            x: [tokens, hidden].
            cos: see `Runner._rotation`; so is ``sin``.
            memory: of what they look at, themselves last.
            mask: to be added to the scores of the last keys [tokens, so many keys].
        """
        query = self.project(x, cos, sin, memory)
        attended = self._out(self._attend(query, memory, mask))
        x = torch.addcmul(x, self._unit(attended), self._post_attention)
        normed = self._unit(x)
        dense = self._unit(self._down(self._gate(normed))).mul_(self._post_mlp)
        both = dense.addcmul_(self._unit(self._experts(normed)), self._post_experts)
        x.addcmul_(self._unit(both), self._post)
        return x if self._scalar == 1 else x.mul_(self._scalar)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor, memory: _Memory) -> Tensor:
        """Write the tokens' keys and values into ``memory``; their queries [tokens, heads, head_dim]."""
        both = self._heads + self._kv_heads
        projected = self._head_unit(self._qkv(self._unit(x)).view(len(x), -1, cos.shape[-1]))
        turned, half = projected[:, :both] * self._turn, cos.shape[-1] // 2
        swapped = torch.cat((turned[..., half:], turned[..., :half]), -1)
        rotated: Tensor = turned.mul_(cos).addcmul_(swapped, sin)
        values = projected[:, self._heads : both] if self._shared else projected[:, both:]
        memory.new_keys.copy_(rotated[:, self._heads :].permute(1, 2, 0))
        memory.new_values.copy_(values.transpose(0, 1))
        return rotated[:, : self._heads]

    def _attend(self, query: Tensor, memory: _Memory, mask: Tensor) -> Tensor:
        """The values that the queries look at [tokens, heads × head_dim]."""
        tokens, _, head = query.shape
        # The queries that share a head of keys, one behind the other: [key-value heads, queries × tokens, head_dim]
        grouped = query.view(tokens, self._kv_heads, -1, head).permute(1, 2, 0, 3)
        groups = grouped.shape[1]
        scores = torch.bmm(grouped.reshape(self._kv_heads, -1, head), memory.keys)
        scores.view(self._kv_heads, groups, tokens, -1)[..., -mask.shape[1] :].add_(mask)
        attended = torch.bmm(scores.softmax(-1), memory.values)
        return attended.view(self._kv_heads, groups, tokens, head).permute(2, 0, 1, 3).reshape(tokens, -1)


class _SelfConditioning:
    def __init__(self, part: SelfConditioning, dtype: torch.dtype) -> None:
        hidden = part.norm.shape[0]
        self._root = hidden**0.5
        self._unit = _Unit(hidden, part.eps, dtype)
        self._gate = _Gate(part.gate_up * (part.norm * self._root), dtype)
        self._down = pack(part.down, dtype)

    def __call__(self, embedded: Tensor, belief: Tensor | None) -> Tensor:
        if belief is not None:
            embedded = embedded + self._down(self._gate(self._unit(belief)))
        return self._unit(embedded).mul_(self._root)


class Runner:
    """A network's weights, copied, for inference. Not for several threads at once: prompts are written in place.

    Token ids, positions and probabilities may lie on the CPU wherever the weights lie; scores are always there.
    """

    def __init__(self, network: Network, dtype: torch.dtype | None = None) -> None:
        self.config = network.config
        self._device = network.embedding.device
        self.dtype = dtype or fastest_dtype(self._device)
        self._mask = functools.lru_cache(maxsize=16)(self._make_mask)
        with torch.inference_mode():
            self._pack(network)

    def _pack(self, network: Network) -> None:
        hidden, embedding = self.config.hidden_size, network.embedding
        self._embedding = (embedding * hidden**0.5).to(self.dtype)
        self._believe = pack(self._embedding.t(), self.dtype)
        self._logits = pack(embedding * (network.norm * (hidden**0.5 / self.config.softcap)), self.dtype)
        self._unit = _Unit(hidden, self.config.rms_norm_eps, self.dtype)
        self._condition = _SelfConditioning(network.self_conditioning, self.dtype)
        self._frequencies = network.frequencies.repeat(2)
        self._layers = [_Layer(layer, self.dtype) for layer in network.layers if isinstance(layer, Layer)]

    def prompt(self) -> Prompt:
        """An empty one."""
        config = self.config
        return Prompt(
            config.num_hidden_layers, config.num_key_value_heads, config.head_dim, self._embedding[:0]
        )

    @torch.inference_mode()
    def extend(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> Tensor:
        """Append tokens to a prompt, causally in the order of ``ids``.

        Args:
            prompt: keys and values are appended to it.
            ids: [tokens].
            positions: document positions [tokens], in any order.

        Returns:
            The last layer's states [1, tokens, hidden].
        """
        return torch.cat(list(self._append(prompt, ids, positions, whole=True))).unsqueeze(0)

    @torch.inference_mode()
    def store(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> None:
        """As `extend`, for its keys and values alone: the last layer stops at them."""
        for _ in self._append(prompt, ids, positions, whole=False):
            pass

    def _append(self, prompt: Prompt, ids: Tensor, positions: Tensor, whole: bool) -> Iterator[Tensor]:
        for piece, at in zip(ids.split(PIECE), positions.split(PIECE), strict=True):
            yield self._run(self.embed(piece), at, prompt, 1, causal=True, whole=whole)
            prompt.length += len(piece)

    @torch.inference_mode()
    def peek(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> Tensor:
        """States [batch, tokens, hidden] of continuations [batch, tokens] of a prompt, each causal; nothing is kept."""
        x = self.embed(ids.flatten())
        return self._run(x, positions.flatten(), prompt, len(ids), causal=True).view(*ids.shape, -1)

    @torch.inference_mode()
    def decode(
        self, canvas: Tensor, positions: Tensor, prompt: Prompt, belief: Tensor | None = None
    ) -> Tensor:
        """Run canvases bidirectionally, each over itself and the prompt.

        Args:
            canvas: ids [batch, slots].
            positions: document positions [batch, slots].
            prompt: shared by all.
            belief: soft embeddings of the last step [batch, slots, hidden] (see `believe`), or None in the first.

        Returns:
            The final states [batch, slots, hidden]; `logits` turns them into scores.
        """
        x = self._condition(self.embed(canvas.flatten()), None if belief is None else belief.flatten(0, 1))
        return self._run(x, positions.flatten(), prompt, len(canvas), causal=False).view(*canvas.shape, -1)

    @torch.inference_mode()
    def logits(self, states: Tensor) -> Tensor:
        """Soft-capped scores [..., vocabulary] of final states [..., hidden], in float32 on the CPU."""
        capped = self._logits.tanh(self._unit(states.flatten(0, -2))).to("cpu", torch.float32)
        return capped.mul_(self.config.softcap).view(*states.shape[:-1], -1)

    @torch.inference_mode()
    def believe(self, probabilities: Tensor) -> Tensor:
        """Soft embeddings [..., hidden] of probabilities [..., vocabulary]: the next step's self-conditioning."""
        rows = probabilities.flatten(0, -2).to(self._device, self.dtype)
        return self._believe(rows).view(*probabilities.shape[:-1], -1)

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings [..., hidden] of ids [...]."""
        return F.embedding(ids.to(self._device), self._embedding)

    def _run(
        self, x: Tensor, positions: Tensor, prompt: Prompt, batch: int, causal: bool, whole: bool = True
    ) -> Tensor:
        """States [batch × tokens, hidden] of rows of tokens behind a prompt; useless unless the last layer is whole."""
        tokens = len(x)
        padding = _bucket(tokens) - tokens
        x, positions = F.pad(x, (0, 0, 0, padding)), F.pad(positions.to(self._device), (0, padding))
        width = _round_up(prompt.length + len(x)) - prompt.length
        mask = self._mask(batch, tokens // batch, causal)[:, :width]
        cos, sin = self._rotation(positions)
        *memories, last = prompt.memories(len(x))
        for layer, memory in zip(self._layers[:-1], memories, strict=True):
            x = layer(x, cos, sin, memory, mask)
        if whole:
            x = self._layers[-1](x, cos, sin, last, mask)
        else:
            self._layers[-1].project(x, cos, sin, last)
        return x[:tokens]

    def _rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines, and sines with the sign that their half of a head wants, each [tokens, 1, head_dim]."""
        angles = (positions.float().unsqueeze(-1) * self._frequencies).unsqueeze(1)
        sin = angles.sin()
        sin[..., : sin.shape[-1] // 2].neg_()
        return angles.cos().to(self.dtype), sin.to(self.dtype)

    def _make_mask(self, batch: int, tokens: int, causal: bool) -> Tensor:
        """What is added to the scores behind the prompt: rows see neither each other nor what fills the sizes up."""
        seen = torch.ones(tokens, tokens, dtype=torch.bool)
        seen = torch.block_diag(*[seen.tril() if causal else seen] * batch)
        size = _bucket(len(seen))
        mask = torch.zeros(size, size + STEP, dtype=self.dtype)  # a padding token may see anything
        mask[: len(seen)] = -math.inf
        mask[: len(seen), : len(seen)].masked_fill_(seen, 0.0)
        return mask.to(self._device)


def _bucket(tokens: int) -> int:
    """So many tokens are run in their place: 1, 2, 4, 8, or the next multiple of 16."""
    return -(-tokens // 16) * 16 if tokens > 8 else 1 << (tokens - 1).bit_length()
