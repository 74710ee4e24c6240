"""The network as a CPU runs it: a pass of the whole network is one call into our own compiled code (`native/`).

The weights are those of `network`, with every factor that stands in front of a product multiplied into it; the tests
hold the two equal. What makes it faster than a chain of tensor operations:

* weights lie as the processor's registers want them, in bfloat16 where it multiplies that, else in float32;
* keys and values are written as such weights, in place: a prompt grows, shrinks and is copied without being laid out
  anew, and attention is the same product as everything else;
* each expert runs once over the tokens that chose it;
* nothing is allocated, and there are no operations to be dispatched: a small network is bound by those.

A canvas and a prompt are run by the same code; rows of a batch share one prompt. Where nothing was compiled (no C
compiler at installation) or the network lies on a GPU, `torch_runner` does the same.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from dgemma_model.errors import ModelError
from dgemma_model.network.config import NetworkConfig
from dgemma_model.network.layers import Layer, Network
from dgemma_model.network.runner import Prompt, Runner, ancestry

PIECE = 256
"""Tokens of a prompt that are run at once: so many that weights are read seldom, so few that they stay in cache."""
HALF = "AVX512-BF16"
"""The kind of processor whose products are in bfloat16."""
TRAINING = ("attention", "attention_back", "blend", "blend_back", "gated", "surprise", "thinned")
"""Functions of the compiled code that `train.kernels` calls, with a kind's name and a structure."""
VARIABLE = "DGEMMA_CPU"
"""Environment variable that forbids the fastest kinds."""


class _Shape(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("vocabulary", "hidden", "heads", "kv_heads", "head_dim")),
        *((name, ctypes.c_int32) for name in ("dense", "experts", "top_k", "width", "layers")),
        *((name, ctypes.c_float) for name in ("eps", "softcap")),
    )


class _Pass(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("model", "prompt", "ids", "positions", "belief")),
        *((name, ctypes.c_int) for name in ("rows", "tokens")),
        ("seen", ctypes.c_void_p),
        *((name, ctypes.c_int) for name in ("causal", "whole")),
        ("states", ctypes.c_void_p),
    )


class _Rows(ctypes.Structure):
    _fields_ = (
        ("model", ctypes.c_void_p),
        ("input", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        ("rows", ctypes.c_int),
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled code; None where there is none."""
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = Path(__file__).parents[1] / ("_native" + suffix)
        if path.is_file():
            return _declared(ctypes.CDLL(str(path)))
    return None


def _declared(found: ctypes.CDLL) -> ctypes.CDLL:
    pointer, number = ctypes.c_void_p, ctypes.c_int
    found.dgemma_kinds.restype = ctypes.c_char_p
    found.dgemma_new.restype = pointer
    found.dgemma_new.argtypes = [pointer, ctypes.c_char_p, number, *[pointer] * 4]
    found.dgemma_free.argtypes = [pointer]
    found.dgemma_prompt.restype = pointer
    found.dgemma_prompt.argtypes = [pointer]
    found.dgemma_prompt_free.argtypes = [pointer]
    found.dgemma_truncate.argtypes = [pointer, number]
    found.dgemma_keep.argtypes = [pointer, number]
    found.dgemma_copy.argtypes = [pointer, pointer, number]
    for name in ("run", "logits", "believe", "soften"):
        getattr(found, f"dgemma_{name}").argtypes = [pointer]
    for name in TRAINING:
        getattr(found, f"dgemma_{name}").argtypes = [ctypes.c_char_p, pointer]
    return found


def kinds() -> list[str]:
    """Kinds of processors whose code runs on this one, the fastest first; none where nothing was compiled.

    The environment variable ``DGEMMA_CPU`` names the fastest one to be used, or ``torch`` for none of them.

    Raises:
        ModelError: it names something else.
    """
    found, wanted = library(), os.environ.get(VARIABLE)
    if found is None or wanted == "torch":
        return []
    able: list[str] = found.dgemma_kinds().decode().split(",")
    if wanted and wanted not in able:
        raise ModelError(
            f"{VARIABLE} is {wanted!r}, which this processor cannot run; use {', '.join(able)} or torch."
        )
    return able[able.index(wanted) :] if wanted else able


def kind_of(dtype: torch.dtype) -> str | None:
    """The fastest kind that multiplies in this type; None where there is none."""
    return next((kind for kind in kinds() if (kind == HALF) == (dtype == torch.bfloat16)), None)


class NativePrompt(Prompt):
    """Buffers with room behind the end."""

    def __init__(self, runner: NativeRunner) -> None:
        self.length = 0
        self._runner = runner  # whose shape the buffers have: it must outlive them
        self.handle: int = runner.library.dgemma_prompt(runner.handle)
        if not self.handle:
            raise MemoryError
        weakref.finalize(self, runner.library.dgemma_prompt_free, self.handle)

    def truncate(self, length: int) -> None:
        self.length = min(self.length, length)
        self._runner.library.dgemma_truncate(self.handle, self.length)

    def copy(self, other: Prompt, length: int) -> None:
        if other is self:
            return self.truncate(length)
        if not self._runner.library.dgemma_copy(self.handle, _handle(other), length):
            raise MemoryError
        self.length = length

    def keep(self, tokens: int) -> None:
        """Count so many tokens, which a pass has put behind the end, as part of the prompt."""
        self.length += tokens
        self._runner.library.dgemma_keep(self.handle, tokens)


class NativeRunner(Runner):
    """A network's weights, copied, for inference on the CPU.

    Attributes:
        kind: of processor, see `kinds`.
    """

    def __init__(self, network: Network, kind: str | None = None, threads: int | None = None) -> None:
        found = library()
        assert found is not None, "nothing was compiled"
        self.library, self.config = found, network.config
        self.kind = kind or kinds()[0]
        self.dtype = torch.bfloat16 if self.kind == HALF else torch.float32
        self.handle = _packed(found, network, self.kind, threads or torch.get_num_threads())
        weakref.finalize(self, found.dgemma_free, self.handle)
        self._embedding = network.embedding.detach() * network.config.hidden_size**0.5

    @staticmethod
    def can_run(network: Network) -> bool:
        """Whether the network lies on the CPU, and something was compiled that can run it: two numbers at a time."""
        config = network.config
        widths = (config.hidden_size, config.intermediate_size, config.moe_intermediate_size)
        even = not any(width % 2 for width in (*widths, config.head_dim, config.vocab_size))
        return network.embedding.device.type == "cpu" and even and bool(kinds())

    def prompt(self) -> NativePrompt:
        return NativePrompt(self)

    def extend(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> Tensor:
        return torch.cat(self._append(prompt, ids, positions, whole=True)).unsqueeze(0)

    def store(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> None:
        self._append(prompt, ids, positions, whole=False)  # the last layer stops at them

    def _append(self, prompt: Prompt, ids: Tensor, positions: Tensor, whole: bool) -> list[Tensor]:
        assert isinstance(prompt, NativePrompt)
        made = []
        for piece, at in zip(ids.split(PIECE), positions.split(PIECE), strict=True):
            made.append(self._run(prompt, piece[None], at[None], causal=True, whole=whole)[0])
            prompt.keep(len(piece))
        return made

    def peek(self, prompt: Prompt, ids: Tensor, positions: Tensor, parents: Sequence[int]) -> Tensor:
        return self._run(prompt, ids[None], positions[None], causal=True, seen=ancestry(parents))[0]

    def decode(
        self, canvas: Tensor, positions: Tensor, prompt: Prompt, belief: Tensor | None = None
    ) -> Tensor:
        return self._run(prompt, canvas, positions, belief, causal=False)

    def _run(
        self,
        prompt: Prompt,
        ids: Tensor,
        positions: Tensor,
        belief: Tensor | None = None,
        *,
        causal: bool,
        whole: bool = True,
        seen: Tensor | None = None,
    ) -> Tensor:
        ids, positions = ids.contiguous(), positions.contiguous()
        belief = None if belief is None else belief.to(torch.float32).contiguous()
        states = torch.empty(*ids.shape, self.config.hidden_size)
        pointers = (ids.data_ptr(), positions.data_ptr(), address(belief))
        task = _Pass(
            self.handle,
            _handle(prompt),
            *pointers,
            *ids.shape,
            address(seen),
            causal,
            whole,
            states.data_ptr(),
        )
        if not self.library.dgemma_run(ctypes.byref(task)):
            raise MemoryError
        return states

    def logits(self, states: Tensor) -> Tensor:
        return self._rows(self.library.dgemma_logits, states, self.config.vocab_size)

    def soften(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert scores.is_contiguous()
        told = self._rows(self.library.dgemma_soften, scores, 2)
        return scores, told[..., 1].long(), told[..., 0]

    def believe(self, probabilities: Tensor) -> Tensor:
        return self._rows(self.library.dgemma_believe, probabilities, self.config.hidden_size)

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._embedding[ids]
        return embedded

    def _rows(self, function: Callable[..., object], rows: Tensor, width: int) -> Tensor:
        rows = rows.to(torch.float32).contiguous()
        made = torch.empty(*rows.shape[:-1], width)
        function(ctypes.byref(_Rows(self.handle, rows.data_ptr(), made.data_ptr(), made[..., 0].numel())))
        return made


def address(tensor: Tensor | None) -> int | None:
    """Where a tensor's numbers lie, for the compiled code."""
    return None if tensor is None else tensor.data_ptr()


def _handle(prompt: Prompt) -> int:
    assert isinstance(prompt, NativePrompt)
    return prompt.handle


def _packed(found: ctypes.CDLL, network: Network, kind: str, threads: int) -> int:
    """The handle of the network's packed weights."""
    config = network.config
    outside = _outside(network)
    own = [layer for layer in network.layers if isinstance(layer, Layer)]
    layers = [part for layer in own for part in _parts(layer)]
    kept = [tensor.detach().to("cpu", torch.float32).contiguous() for tensor in (*outside, *layers)]
    pointers = [tensor.data_ptr() for tensor in kept]
    count = config.num_hidden_layers
    handle: int | None = found.dgemma_new(
        ctypes.byref(_shape(config)),
        kind.encode(),
        threads,
        (ctypes.c_void_p * len(outside))(*pointers[: len(outside)]),
        (ctypes.c_void_p * len(layers))(*pointers[len(outside) :]),
        (ctypes.c_float * count)(*(float(layer.scalar) for layer in own)),
        (ctypes.c_int32 * count)(*config.global_layers),
    )
    if not handle:
        raise MemoryError
    return handle


def _shape(config: NetworkConfig) -> _Shape:
    sizes = (config.vocab_size, config.hidden_size, config.num_attention_heads, config.num_key_value_heads)
    widths = (config.head_dim, config.intermediate_size, config.num_experts, config.top_k_experts)
    return _Shape(
        *sizes,
        *widths,
        config.moe_intermediate_size,
        config.num_hidden_layers,
        config.rms_norm_eps,
        config.softcap,
    )


def _outside(network: Network) -> list[Tensor]:
    condition, embedding = network.self_conditioning, network.embedding
    gate, up = (condition.gate_up * condition.norm).chunk(2)
    scores = embedding * (network.norm / network.config.softcap)
    return [embedding, scores, embedding.t(), gate, up, condition.down, network.frequencies]


def _parts(layer: Layer) -> list[Tensor]:
    """What the native code wants of a layer, in its order."""
    experts = layer.experts
    gate, up = (layer.gate_up * layer.mlp_norm).chunk(2)
    expert_gate, expert_up = (experts.gate_up * experts.norm).chunk(2, 1)
    router = experts.router * (experts.router_scale * experts.router.shape[1] ** -0.5)
    turn = (layer.query_norm.expand(layer.heads, -1), layer.key_norm.expand(layer.kv_heads, -1))
    return [
        layer.qkv * layer.attention_norm,
        layer.out,
        gate,
        up,
        layer.down,
        router,
        expert_gate,
        expert_up,
        experts.down * experts.expert_scale[:, None, None],
        torch.cat(turn),
        layer.post_attention_norm,
        layer.post_mlp_norm,
        layer.post_experts_norm,
        layer.post_norm,
    ]
