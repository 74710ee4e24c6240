"""A layer's pass over rows of tokens while training: `network.Layer`, with the work between its products compiled.

Between two products stands one operation of our own (`native/layer.h`), forward and backward, where a chain of tensor
operations would go through memory for each. Matrices are multiplied by torch.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dgemma_model.network.layers import Layer
from dgemma_model.train.step.kernels import FLOAT, INT, POINTER, Mixture, call, element, fields, gated


def project(layer: Layer, x: Tensor, turn: Tensor, kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, as `Layer.project` makes them.

    Args:
        layer: whose weights are used.
        x: [tokens, hidden], float32.
        turn: cosines, then sines of the tokens' positions [tokens, head_dim].
        kind: of processor.

    Returns:
        Each [tokens, heads, head_dim], float32.
    """
    narrow: Tensor = _Unit.apply(x, layer.eps, kind)  # type: ignore[no-untyped-call]
    projected = F.linear(narrow, (layer.qkv * layer.attention_norm).to(narrow.dtype))
    parts: tuple[Tensor, Tensor, Tensor] = _Apart.apply(  # type: ignore[no-untyped-call]
        projected, layer.query_norm, layer.key_norm, turn, layer, kind
    )
    return parts


def finish(layer: Layer, x: Tensor, attended: Tensor, kind: str) -> Tensor:
    """The rest of the layer, as `Layer.finish` does it.

    Args:
        layer: whose weights are used.
        x: [tokens, hidden], float32.
        attended: [tokens, heads, head_dim], float32.
        kind: of processor.

    Returns:
        [tokens, hidden], float32.
    """
    dtype, experts = element(kind), layer.experts
    found = F.linear(attended.flatten(1).to(dtype), layer.out.to(dtype))
    x, normed = _Absorb.apply(x, found, layer.post_attention_norm, layer.eps, kind)  # type: ignore[no-untyped-call]
    inner = F.linear(normed, (layer.gate_up * layer.mlp_norm).to(dtype))
    activated: Tensor = _Gate.apply(inner, kind)  # type: ignore[no-untyped-call]
    dense = F.linear(activated, layer.down.to(dtype))
    weights, order, counts = experts.assign(normed)
    mixed: Tensor = Mixture.apply(  # type: ignore[no-untyped-call]
        normed, experts.gate_up * experts.norm, experts.down, weights.float(), order, counts, kind
    )
    scales = layer.post_mlp_norm, layer.post_experts_norm, layer.post_norm
    out: Tensor = _Combine.apply(x, dense, mixed, *scales, layer, kind)  # type: ignore[no-untyped-call]
    return out


class _Units(ctypes.Structure):
    _fields_ = fields(("x d_out out d_x", POINTER), ("rows hidden", INT), ("eps", FLOAT))


class _Heads(ctypes.Structure):
    _fields_ = fields(
        ("projected query_norm key_norm turn", POINTER),
        ("tokens heads kv_heads size shared", INT),
        ("eps", FLOAT),
        ("query key value d_query d_key d_value d_projected d_query_norm d_key_norm", POINTER),
    )


class _Absorbed(ctypes.Structure):
    _fields_ = fields(
        ("x y scale", POINTER),
        ("rows hidden", INT),
        ("eps", FLOAT),
        ("out normed d_out d_normed d_x d_y d_scale", POINTER),
    )


class _Combined(ctypes.Structure):
    _fields_ = fields(
        ("x dense mixed dense_scale mixed_scale scale", POINTER),
        ("rows hidden", INT),
        ("eps factor", FLOAT),
        ("out d_out d_x d_dense d_mixed d_dense_scale d_mixed_scale d_scale", POINTER),
    )


class _Unit(torch.autograd.Function):
    """Rows divided by their root mean square, in the elements' type."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, kind: str) -> Tensor:
        out = torch.empty(x.shape, dtype=element(kind))
        ctx.save_for_backward(x)
        ctx.kind, ctx.numbers = kind, {"rows": len(x), "hidden": x.shape[1], "eps": eps}
        call("unit_rows", kind, _Units, x=x, out=out, **ctx.numbers)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,), d_out = ctx.saved_tensors, gradients[0].contiguous()
        d_x = torch.empty_like(x)
        call("unit_rows", ctx.kind, _Units, x=x, d_out=d_out, d_x=d_x, **ctx.numbers)
        return d_x, None, None


class _Apart(torch.autograd.Function):
    """Queries, keys and values, normed and turned, from their projection."""

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        query_norm: Tensor,
        key_norm: Tensor,
        turn: Tensor,
        layer: Layer,
        kind: str,
    ) -> tuple[Tensor, Tensor, Tensor]:
        tokens, size = len(projected), layer.head_dim
        query = torch.empty(tokens, layer.heads, size)
        key, value = (torch.empty(tokens, layer.kv_heads, size) for _ in range(2))
        ctx.save_for_backward(projected, query_norm, key_norm, turn)
        ctx.kind, ctx.numbers = kind, {"tokens": tokens, "heads": layer.heads, "kv_heads": layer.kv_heads}
        ctx.numbers |= {"size": size, "shared": int(layer.shared), "eps": layer.eps}
        given = {"projected": projected, "query_norm": query_norm, "key_norm": key_norm, "turn": turn}
        call("heads", kind, _Heads, **given, **ctx.numbers, query=query, key=key, value=value)
        return query, key, value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        given = dict(zip(("projected", "query_norm", "key_norm", "turn"), ctx.saved_tensors, strict=True))
        names = ("d_query", "d_key", "d_value")
        given |= {name: part.contiguous() for name, part in zip(names, gradients, strict=True)}
        d_projected = torch.empty_like(given["projected"])
        d_query, d_key = torch.zeros_like(given["query_norm"]), torch.zeros_like(given["key_norm"])
        made = {"d_projected": d_projected, "d_query_norm": d_query, "d_key_norm": d_key}
        call("heads_back", ctx.kind, _Heads, **given, **ctx.numbers, **made)
        return d_projected, d_query, d_key, None, None, None


class _Gate(torch.autograd.Function):
    """GELU(first half) × second half."""

    @staticmethod
    def forward(ctx: Any, inner: Tensor, kind: str) -> Tensor:
        ctx.save_for_backward(inner)
        ctx.kind = kind
        return gated(inner, kind)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (inner,) = ctx.saved_tensors
        return gated(inner, ctx.kind, gradients[0].contiguous()), None


class _Absorb(torch.autograd.Function):
    """The residual stream with something scaled added to it, and its unit in the elements' type."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, scale: Tensor, eps: float, kind: str
    ) -> tuple[Tensor, Tensor]:
        out, normed = torch.empty_like(x), torch.empty_like(y)
        ctx.save_for_backward(out, y, scale)
        ctx.kind, ctx.numbers = kind, {"rows": len(x), "hidden": x.shape[1], "eps": eps}
        call("absorb", kind, _Absorbed, x=x, y=y, scale=scale, out=out, normed=normed, **ctx.numbers)
        return out, normed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        given = dict(zip(("out", "y", "scale"), ctx.saved_tensors, strict=True))
        given |= {"d_out": gradients[0].contiguous(), "d_normed": gradients[1].contiguous()}
        made = {"d_x": torch.empty_like(given["out"]), "d_y": torch.empty_like(given["y"])}
        made |= {"d_scale": torch.zeros_like(given["scale"])}
        call("absorb_back", ctx.kind, _Absorbed, **given, **ctx.numbers, **made)
        return made["d_x"], made["d_y"], made["d_scale"], None, None


class _Combine(torch.autograd.Function):
    """The end of a layer, as `Layer.combine` has it."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        dense: Tensor,
        mixed: Tensor,
        dense_scale: Tensor,
        mixed_scale: Tensor,
        scale: Tensor,
        layer: Layer,
        kind: str,
    ) -> Tensor:
        out = torch.empty_like(x)
        scales = {"dense_scale": dense_scale, "mixed_scale": mixed_scale, "scale": scale}
        ctx.save_for_backward(dense, mixed, *scales.values())
        ctx.kind, ctx.numbers = kind, {"rows": len(x), "hidden": x.shape[1]}
        ctx.numbers |= {"eps": layer.eps, "factor": layer.scalar.item()}
        call("combine", kind, _Combined, x=x, dense=dense, mixed=mixed, **scales, **ctx.numbers, out=out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        names = ("dense", "mixed", "dense_scale", "mixed_scale", "scale")
        given, d_out = dict(zip(names, ctx.saved_tensors, strict=True)), gradients[0].contiguous()
        made = {"d_x": torch.empty_like(d_out)} | {
            f"d_{name}": torch.zeros_like(given[name]) for name in names
        }
        call("combine_back", ctx.kind, _Combined, **given, **ctx.numbers, d_out=d_out, **made)
        return *made.values(), None, None
