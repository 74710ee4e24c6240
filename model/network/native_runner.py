"""`NativeRunner`: a pass of the whole network is one call into our own compiled code (`native/`).

The weights are those of `layers`, with every factor that precedes a product multiplied into it. This is what makes it
faster than a chain of tensor operations:

* Weights are stored in the order in which the processor's registers want them, in bfloat16 if it multiplies that type,
  else in float32.
* Keys and values are written in that order too, in place. A prompt grows, shrinks and is copied without being
  rearranged, and attention is the same product as everything else.
* Each expert runs once, over the tokens that chose it.
* Nothing is allocated and no operation is dispatched; in a small network that takes most of the time.

The same code runs prompts and canvases; the rows of a batch share one prompt.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dgemma_model.network.config import NetworkConfig
from dgemma_model.network.layers import Layer, Network
from dgemma_model.network.native_library import Pass, Processor, Rows, Shape, address, library, processors
from dgemma_model.network.runner import Prompt, Runner, ancestry

PIECE = 256
"""Tokens of a prompt that run at once: enough to read the weights seldom, few enough to stay in the cache."""


class NativePrompt(Prompt):
    """Buffers with room behind the prompt's end."""

    def __init__(self, runner: NativeRunner) -> None:
        self.length = 0
        self._runner = runner  # the buffers have its shape, so it must outlive them
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
        """Make the tokens that a pass has put behind the end part of the prompt."""
        self.length += tokens
        self._runner.library.dgemma_keep(self.handle, tokens)


class NativeRunner(Runner):
    """A copy of a network's weights, for inference on a CPU.

    Attributes:
        processor: the kind of processor whose code runs.
    """

    def __init__(
        self, network: Network, processor: Processor | None = None, threads: int | None = None
    ) -> None:
        native = library()
        assert native is not None, "nothing was compiled"
        self.library, self.config = native, network.config
        self.processor = processor or processors()[0]
        self.dtype = self.processor.dtype
        self.handle = _packed(native, network, self.processor, threads or torch.get_num_threads())
        weakref.finalize(self, native.dgemma_free, self.handle)
        self._embedding = network.embedding.detach() * network.config.hidden_size**0.5

    @staticmethod
    def can_run(network: Network) -> bool:
        """Tell whether there is compiled code for this network: it is on a CPU, and its widths are even."""
        config = network.config
        widths = (config.hidden_size, config.intermediate_size, config.moe_intermediate_size)
        even = not any(width % 2 for width in (*widths, config.head_dim, config.vocab_size))
        return network.embedding.device.type == "cpu" and even and bool(processors())

    def prompt(self) -> NativePrompt:
        return NativePrompt(self)

    def extend(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> Tensor:
        return torch.cat(self._append(prompt, ids, positions, whole=True)).unsqueeze(0)

    def store(self, prompt: Prompt, ids: Tensor, positions: Tensor) -> None:
        self._append(prompt, ids, positions, whole=False)  # the last layer stops behind its keys and values

    def _append(self, prompt: Prompt, ids: Tensor, positions: Tensor, whole: bool) -> list[Tensor]:
        assert isinstance(prompt, NativePrompt)
        states = []
        for piece, at in zip(ids.split(PIECE), positions.split(PIECE), strict=True):
            states.append(self._run(prompt, piece[None], at[None], causal=True, whole=whole)[0])
            prompt.keep(len(piece))
        return states

    def peek(self, prompt: Prompt, ids: Tensor, positions: Tensor, parents: Sequence[int]) -> Tensor:
        return self._run(prompt, ids[None], positions[None], causal=True, seen=ancestry(parents))[0]

    def decode(self, ids: Tensor, positions: Tensor, prompt: Prompt, belief: Tensor | None = None) -> Tensor:
        return self._run(prompt, ids, positions, belief, causal=False)

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
        """Run rows of tokens [rows, tokens] behind a prompt.

        Args:
            prompt: what all rows see.
            ids: [rows, tokens].
            positions: document positions [rows, tokens].
            belief: see `Runner.decode`.
            causal: whether a token sees only those before it, and whether its keys and values go behind the prompt.
            whole: whether the states are wanted, and not only keys and values.
            seen: which tokens each token sees [tokens, tokens], in place of those before it.
        """
        ids, positions = ids.contiguous(), positions.contiguous()
        belief = None if belief is None else belief.to(torch.float32).contiguous()
        states = torch.empty(*ids.shape, self.config.hidden_size)
        pointers = (ids.data_ptr(), positions.data_ptr(), address(belief))
        arguments = Pass(
            self.handle,
            _handle(prompt),
            *pointers,
            *ids.shape,
            address(seen),
            causal,
            whole,
            states.data_ptr(),
        )
        if not self.library.dgemma_run(ctypes.byref(arguments)):
            raise MemoryError
        return states

    def logits(self, states: Tensor) -> Tensor:
        return self._rows(self.library.dgemma_logits, states, self.config.vocab_size)

    def soften(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert scores.is_contiguous()
        entropy_and_best = self._rows(self.library.dgemma_soften, scores, 2)
        return scores, entropy_and_best[..., 1].long(), entropy_and_best[..., 0]

    def believe(self, probabilities: Tensor) -> Tensor:
        return self._rows(self.library.dgemma_believe, probabilities, self.config.hidden_size)

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._embedding[ids]
        return embedded

    def _rows(self, function: Callable[..., object], rows: Tensor, width: int) -> Tensor:
        rows = rows.to(torch.float32).contiguous()
        results = torch.empty(*rows.shape[:-1], width)
        count = results[..., 0].numel()
        function(ctypes.byref(Rows(self.handle, rows.data_ptr(), results.data_ptr(), count)))
        return results


def _handle(prompt: Prompt) -> int:
    assert isinstance(prompt, NativePrompt)
    return prompt.handle


def _packed(native: ctypes.CDLL, network: Network, processor: Processor, threads: int) -> int:
    """Pack the network's weights; returns their handle."""
    config = network.config
    outside = _outside(network)
    layers = [layer for layer in network.layers if isinstance(layer, Layer)]
    inside = [part for layer in layers for part in _parts(layer)]
    tensors = [tensor.detach().to("cpu", torch.float32).contiguous() for tensor in (*outside, *inside)]
    pointers = [tensor.data_ptr() for tensor in tensors]
    count = config.num_hidden_layers
    handle: int | None = native.dgemma_new(
        ctypes.byref(_shape(config)),
        processor.encode(),
        threads,
        (ctypes.c_void_p * len(outside))(*pointers[: len(outside)]),
        (ctypes.c_void_p * len(inside))(*pointers[len(outside) :]),
        (ctypes.c_float * count)(*(float(layer.scalar) for layer in layers)),
        (ctypes.c_int32 * count)(*config.global_layers),
    )
    if not handle:
        raise MemoryError
    return handle


def _shape(config: NetworkConfig) -> Shape:
    sizes = (config.vocab_size, config.hidden_size, config.num_attention_heads, config.num_key_value_heads)
    widths = (config.head_dim, config.intermediate_size, config.num_experts, config.top_k_experts)
    return Shape(
        *sizes,
        *widths,
        config.moe_intermediate_size,
        config.num_hidden_layers,
        config.rms_norm_eps,
        config.softcap,
    )


def _outside(network: Network) -> list[Tensor]:
    """List the tensors that belong to no layer, in the order in which the compiled code takes them."""
    condition, embedding = network.self_conditioning, network.embedding
    gate, up = (condition.gate_up * condition.norm).chunk(2)
    scores = embedding * (network.norm / network.config.softcap)
    return [embedding, scores, embedding.t(), gate, up, condition.down, network.frequencies]


def _parts(layer: Layer) -> list[Tensor]:
    """List a layer's tensors in the order in which the compiled code takes them."""
    experts = layer.experts
    gate, up = (layer.gate_up * layer.mlp_norm).chunk(2)
    expert_gate, expert_up = (experts.gate_up * experts.norm).chunk(2, 1)
    router = experts.router * (experts.router_scale * experts.router.shape[1] ** -0.5)
    rotated = (layer.query_norm.expand(layer.heads, -1), layer.key_norm.expand(layer.kv_heads, -1))
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
        torch.cat(rotated),
        layer.post_attention_norm,
        layer.post_mlp_norm,
        layer.post_experts_norm,
        layer.post_norm,
    ]
