"""Operations of training whose work is compiled code (`native/`), with their gradients; for a CPU.

Each is given the kind of processor whose code it uses (see `native.kinds`), which also says in what type matrices are
multiplied: bfloat16 by that of `Processor.AVX512_BF16`, else float32.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from dgemma_model.network.native_library import Processor, address, library, processor_for

_ROWS = 128
"""Experts' rows are rounded up to a multiple: oneDNN compiles a product for each size that it has not met before."""


FLOAT, INT, POINTER = ctypes.c_float, ctypes.c_int, ctypes.c_void_p


def fields(*groups: tuple[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Fields of a structure of `native/dgemma.h`: their names, apart by spaces, and their type."""
    return tuple((name, kind) for names, kind in groups for name in names.split())


class _Attention(ctypes.Structure):
    _fields_ = fields(
        ("query key value ranges", POINTER),
        ("queries keys heads kv_heads size", INT),
        ("out normalisers d_out d_query d_key d_value", POINTER),
    )


class _Surprise(ctypes.Structure):
    _fields_ = fields(
        ("scores targets weights", POINTER), ("rows vocabulary", INT), ("cap", FLOAT), ("losses", POINTER)
    )


class _Thinned(ctypes.Structure):
    _fields_ = fields(
        ("surprise", _Surprise),
        ("states weight offsets", POINTER),
        ("hidden", INT),
        ("grain", FLOAT),
        ("d_states d_weight", POINTER),
    )


class _Gated(ctypes.Structure):
    _fields_ = fields(("inner d_out out", POINTER), ("rows width", INT))


class _Blend(ctypes.Structure):
    _fields_ = fields(
        ("rows places weights", POINTER),
        ("tokens top_k hidden", INT),
        ("out d_out d_rows d_weights", POINTER),
    )


def call(name: str, kind: str | None, structure: type[ctypes.Structure], **given: Any) -> None:
    """Run a function of the compiled code.

    Args:
        name: of the function, without what all begin with.
        kind: of processor.
        structure: that it is given.
        given: its fields: contiguous tensors, numbers and structures; those left out are nothing.

    Raises:
        MemoryError: it found none.
    """
    found = library()
    assert found is not None
    assert kind is not None
    if not getattr(found, f"dgemma_{name}")(kind.encode(), ctypes.byref(_filled(structure, given))):
        raise MemoryError


def _filled(structure: type[ctypes.Structure], given: Mapping[str, Any]) -> ctypes.Structure:
    return structure(**{key: address(one) if isinstance(one, Tensor) else one for key, one in given.items()})


def element(kind: str) -> torch.dtype:
    """The type in which a kind of processor multiplies."""
    return Processor(kind).dtype


def gated(inner: Tensor, kind: str, d_out: Tensor | None = None) -> Tensor:
    """GELU(first half) × second half of ``inner`` [rows, 2 × width]; with ``d_out``: the gradient there."""
    rows, width = inner.shape[0], inner.shape[1] // 2
    out = inner.new_empty(rows, width) if d_out is None else torch.empty_like(inner)
    call("gated", kind, _Gated, inner=inner, d_out=d_out, out=out, rows=rows, width=width)
    return out


class Attention(torch.autograd.Function):
    """Attention while training; each query sees two ranges of keys."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, ranges: Tensor, kind: str) -> Tensor:
        """The values that the queries find.

        Args:
            query: [queries, heads, head_dim], float32 like all others.
            key: [keys, key-value heads, head_dim].
            value: likewise.
            ranges: a query sees the keys from … to and from … to: int32 [queries, 4].
            kind: of processor.

        Returns:
            [queries, heads, head_dim].
        """
        query, key, value, ranges = (part.contiguous() for part in (query, key, value, ranges))
        out, normalisers = torch.empty_like(query), torch.empty(query.shape[:2])
        call("attention", kind, _Attention, **_seen(query, key, value, ranges, out, normalisers))
        ctx.save_for_backward(query, key, value, ranges, out, normalisers)
        ctx.kind = kind
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """See `forward`."""
        saved, d_out = ctx.saved_tensors, gradients[0].contiguous()
        query, key, value = (torch.empty_like(part) for part in saved[:3])
        made = {"d_query": query, "d_key": key, "d_value": value}
        call("attention_back", ctx.kind, _Attention, **_seen(*saved), d_out=d_out, **made)
        return query, key, value, None, None


def _seen(
    query: Tensor, key: Tensor, value: Tensor, ranges: Tensor, out: Tensor, normalisers: Tensor
) -> dict[str, Any]:
    """What attention is given in both directions."""
    (queries, heads, size), (keys, kv_heads, _) = query.shape, key.shape
    sizes = {"queries": queries, "keys": keys, "heads": heads, "kv_heads": kv_heads, "size": size}
    tensors = {"query": query, "key": key, "value": value, "ranges": ranges}
    return tensors | sizes | {"out": out, "normalisers": normalisers}


class Mixture(torch.autograd.Function):
    """What the chosen experts make of tokens: each runs once, over the tokens that chose it."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gate_up: Tensor,
        down: Tensor,
        weights: Tensor,
        order: Tensor,
        counts: list[int],
        kind: str,
    ) -> Tensor:
        """The weighted sum of the experts' outputs.

        Args:
            x: [tokens, hidden], float32 like all others, or in the elements' type.
            gate_up: [experts, 2 × width, hidden].
            down: [experts, hidden, width].
            weights: of each token's choices [tokens, top_k].
            order: of the choices, by expert [tokens × top_k].
            counts: choices of each expert.
            kind: of processor.

        Returns:
            [tokens, hidden].
        """
        dtype = element(kind)
        rooms = [-(-count // _ROWS) * _ROWS for count in counts]
        into, out_of, weights = gate_up.to(dtype), down.to(dtype), weights.contiguous()
        own, places = _grouped(x.to(dtype), order, counts, rooms)
        inner = own.new_empty(len(own), into.shape[1])
        for expert, rows in _slices(rooms):
            torch.mm(own[rows], into[expert].t(), out=inner[rows])
        activated = gated(inner, kind)
        found = torch.empty_like(own)
        for expert, rows in _slices(rooms):
            torch.mm(activated[rows], out_of[expert].t(), out=found[rows])
        ctx.save_for_backward(into, out_of, weights, places, own, inner, activated, found)
        ctx.rooms, ctx.kind = rooms, kind
        ctx.pads = [slice(rows.start + counts[expert], rows.stop) for expert, rows in _slices(rooms)]
        return _blended(kind, found, places, weights, weights.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None, None]:
        """See `forward`."""
        into, out_of, weights, places, own, inner, activated, found = ctx.saved_tensors
        d_out, kind, slices = gradients[0].contiguous(), ctx.kind, list(_slices(ctx.rooms))
        d_found, d_weights = torch.empty_like(found), torch.empty_like(weights)
        for rows in ctx.pads:
            d_found[rows].zero_()
        tokens, top_k = weights.shape
        given = {"rows": found, "places": places, "weights": weights, "d_out": d_out}
        sizes = {"tokens": tokens, "top_k": top_k, "hidden": found.shape[1]}
        call("blend_back", kind, _Blend, **given, **sizes, d_rows=d_found, d_weights=d_weights)
        d_activated, d_down = torch.empty_like(activated), torch.zeros_like(out_of)
        for expert, rows in slices:
            torch.mm(d_found[rows], out_of[expert], out=d_activated[rows])
            torch.mm(d_found[rows].t(), activated[rows], out=d_down[expert])
        d_inner = gated(inner, kind, d_activated)
        d_own, d_into = torch.empty_like(own), torch.zeros_like(into)
        for expert, rows in slices:
            torch.mm(d_inner[rows], into[expert], out=d_own[rows])
            torch.mm(d_inner[rows].t(), own[rows], out=d_into[expert])
        d_x = _blended(kind, d_own, places, None, weights.shape)
        return d_x, d_into.float(), d_down.float(), d_weights, None, None, None


def _grouped(x: Tensor, order: Tensor, counts: list[int], rooms: list[int]) -> tuple[Tensor, Tensor]:
    """Rows of ``x`` by expert, with zeros behind each expert's, and the place of each choice among them."""
    starts = list(accumulate((room - count for room, count in zip(rooms, counts, strict=True)), initial=0))
    shifts = torch.tensor(starts[:-1]).repeat_interleave(torch.tensor(counts))
    at = torch.arange(len(order)) + shifts
    places = torch.empty_like(order)
    places[order] = at
    tokens = torch.full((sum(rooms),), len(x))
    tokens[at] = order // (len(order) // len(x))
    return torch.nn.functional.pad(x, (0, 0, 0, 1))[tokens], places


def _slices(counts: list[int]) -> Iterator[tuple[int, slice]]:
    """Experts that were chosen, and their rows."""
    end = 0
    for expert, count in enumerate(counts):
        end += count
        if count:
            yield expert, slice(end - count, end)


def _blended(kind: str, rows: Tensor, places: Tensor, weights: Tensor | None, choices: torch.Size) -> Tensor:
    (tokens, top_k), hidden = choices, rows.shape[1]
    out, sizes = torch.empty(tokens, hidden), {"tokens": tokens, "top_k": top_k, "hidden": hidden}
    call("blend", kind, _Blend, rows=rows, places=places, weights=weights, **sizes, out=out)
    return out


def surprise(scores: Tensor, targets: Tensor, weights: Tensor, cap: float) -> Tensor:
    """Turn scores before their soft cap into the gradient of their weighted cross-entropy, in place.

    Args:
        scores: [rows, vocabulary], in a type that `processor_for` knows.
        targets: token ids [rows].
        weights: float32 [rows].
        cap: the soft cap.

    Returns:
        The unweighted losses in nats [rows].
    """
    losses = torch.empty_like(weights)
    call(
        "surprise", processor_for(scores.dtype), _Surprise, **_surprise(scores, targets, weights, cap, losses)
    )
    return losses


def thinned_surprise(
    scores: Tensor,
    targets: Tensor,
    weights: Tensor,
    cap: float,
    states: Tensor,
    weight: Tensor,
    grain: float,
    offsets: Tensor,
    d_weight: Tensor,
) -> tuple[Tensor, Tensor]:
    """The gradient of the weighted cross-entropy in what the scores are products of, by its largest entries.

    An entry of less than ``grain`` is replaced by ``grain`` or by nothing, so that it is right on average: most of a
    vocabulary has next to no share in a prediction, and its gradient need not be multiplied (Wijmans et al., "Cut Your
    Losses", 2025, leave such entries out, which is wrong on average).

    Args:
        scores: [rows, vocabulary], in a type that `processor_for` knows; like `surprise`, but left as they are.
        targets: token ids [rows].
        weights: float32 [rows].
        cap: the soft cap.
        states: float32 [rows, hidden].
        weight: of the scores' type [vocabulary, hidden].
        grain: of an unweighted entry, which is between -1 and 1.
        offsets: drawn evenly from 0 … 1, float32 [rows].
        d_weight: to which its gradient is added [vocabulary, hidden].

    Returns:
        The unweighted losses in nats [rows], and the gradient of the states.
    """
    assert states.is_contiguous()
    assert weight.is_contiguous()
    losses, d_states = torch.empty_like(weights), torch.empty_like(states)
    surprise = _filled(_Surprise, _surprise(scores, targets, weights, cap, losses))
    given = {
        "states": states,
        "weight": weight,
        "offsets": offsets,
        "hidden": states.shape[1],
        "grain": grain,
    }
    made = {"d_states": d_states, "d_weight": d_weight}
    call("thinned", processor_for(scores.dtype), _Thinned, surprise=surprise, **given, **made)
    return losses, d_states


def _surprise(scores: Tensor, targets: Tensor, weights: Tensor, cap: float, losses: Tensor) -> dict[str, Any]:
    assert scores.is_contiguous()
    rows, vocabulary = scores.shape
    tensors = {"scores": scores, "targets": targets, "weights": weights, "losses": losses}
    return tensors | {"rows": rows, "vocabulary": vocabulary, "cap": cap}
