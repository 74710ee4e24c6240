"""Train the bundled checkpoint: ``python -m dgemma_model.train.train --minutes 60``.

The same script runs on one CPU or one GPU, for a given time, and goes on from its last state where there is one.
Each step: encode the prompts, noise the canvases (t ~ U(0, 1), a share of them fully; uniform replacement, as
DiffusionGemma has no mask token), denoise them, some of the time a second time with the first answer as
self-conditioning, and add the encoder's next-token loss. The learning rate warms up, stays, and falls to zero in the
last part of the time (warm-stable-decay, Hu et al., "MiniCPM", 2024); the state before the fall is kept, so that a
later run can go on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from dgemma_model.config import NetworkConfig
from dgemma_model.layout import LAYOUT_KEY, Budget
from dgemma_model.load import CONFIG, load, parameter_count, save
from dgemma_model.network import Experts, Network
from dgemma_model.tokenizer import Tokenizer
from dgemma_model.train import compiled
from dgemma_model.train.examples import Batch, Cutter, Row, RowMaker, Shape, collate
from dgemma_model.train.loss import capped_cross_entropy
from dgemma_model.train.muon import Muon
from dgemma_model.train.passes import Passes, best_passes, packed_kind


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what is trained, apart from the time it gets.

    Attributes:
        rows: of a batch.
        matrix_lr, other_lr: peak learning rates of Muon and of AdamW.
        warmup: steps.
        fully_noised: share of canvases with t = 1, where serving begins.
        pad_share: of the slots behind ``<end>`` whose loss is computed in a step.
        imbalance: weight of the experts' load balancing.
        characters_per_row: a file gives one row for so many of its characters.
        bf16: whether matrix products, the loss's and Muon's too, run in bfloat16; slower than float32 on a processor
            without AMX or AVX512-BF16.
    """

    hidden: int = 192
    layers: int = 4
    head_dim: int = 64
    dense: int = 384
    experts: int = 8
    top_k: int = 2
    expert: int = 96
    rows: int = 12
    matrix_lr: float = 0.02
    other_lr: float = 0.004
    warmup: int = 40
    self_conditioning: float = 0.3
    fully_noised: float = 0.3
    pad_share: float = 0.1
    imbalance: float = 0.01
    characters_per_row: int = 1500
    bf16: bool = False
    seed: int = 0

    @property
    def dtype(self) -> torch.dtype:
        """In which matrices are multiplied."""
        return torch.bfloat16 if self.bf16 else torch.float32

    def network(self, vocabulary: int) -> NetworkConfig:
        """The network's shape; the last layer is global, as DiffusionGemma demands."""
        return NetworkConfig(
            vocab_size=vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.dense,
            num_attention_heads=self.hidden // self.head_dim,
            num_key_value_heads=max(1, self.hidden // self.head_dim // 2),
            head_dim=self.head_dim,
            num_experts=self.experts,
            top_k_experts=self.top_k,
            moe_intermediate_size=self.expert,
            global_layers=(False,) * (self.layers - 1) + (True,),
        )


TRAINING = "training.json"
_SLOTS = 128  # whose scores stay in cache
_SETTLED = 12  # steps until everything is compiled
SHAPE = Shape(prompt=512, canvas=144, suffix=96)
BUDGET = Budget(prefix=384, suffix=96, between=96)


def initialise(network: Network, seed: int) -> None:
    """Weights such that every activation starts near unit size and attention starts soft."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            fan_in = parameter.shape[-1]
            std = 0.03 if name == "embedding" else 0.5 * fan_in**-0.5
            torch.nn.init.normal_(parameter, 0.0, std, generator=generator)
        elif name.endswith(("query_norm", "key_norm")):
            torch.nn.init.constant_(parameter, 0.42)  # scores of about unit size: 64 × 0.42² / √64
        elif "post_" in name:
            torch.nn.init.constant_(parameter, 0.5)


def optimizers(network: Network, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings, routers, norms and scales."""
    inside = [
        parameter
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1 and name != "embedding" and not name.endswith("router")
    ]
    chosen = {id(parameter) for parameter in inside}
    others = [parameter for parameter in network.parameters() if id(parameter) not in chosen]
    return [
        Muon(inside, lr=recipe.matrix_lr, weight_decay=0.01, bf16=recipe.bf16),
        torch.optim.AdamW(others, lr=recipe.other_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


class Stream:
    """Endless rows from a corpus, in a seeded order that survives a restart."""

    def __init__(self, corpus: Path, tokenizer: Tokenizer, recipe: Recipe, shape: Shape) -> None:
        self._lines = _offsets(corpus)
        self._corpus, self._tokenizer, self._recipe, self._shape = corpus, tokenizer, recipe, shape
        self.files = 0

    def restart(self, seed: int) -> None:
        """Draw the rows that follow from another place of the corpus."""
        self.files = seed % len(self._lines)

    def batches(self) -> Iterator[Batch]:
        """Batches of rows, shuffled among some hundred files."""
        pool: list[Row] = []
        rng = random.Random(f"{self._recipe.seed} {self.files}")
        for row in self._rows(rng):
            pool.append(row)
            if len(pool) >= 64 * self._recipe.rows:
                rng.shuffle(pool)
                batch, pool = pool[: self._recipe.rows], pool[self._recipe.rows :]
                yield collate(batch, self._shape, self._tokenizer.pad_id)

    def _rows(self, rng: random.Random) -> Iterator[Row]:
        cutter = Cutter(rng)
        maker = RowMaker(self._tokenizer, self._shape, rng)
        with self._corpus.open("rb") as file:
            while True:
                epoch, index = divmod(self.files, len(self._lines))
                order = _order(self._lines, self._recipe.seed, epoch)
                file.seek(order[index])
                text = json.loads(file.readline())["text"]
                self.files += 1
                for spans in cutter.cuts(text, 1 + len(text) // self._recipe.characters_per_row):
                    row = maker.row(text, spans)
                    if row is not None:
                        yield row


def read_last(corpus: Path, seed: int, count: int) -> list[tuple[str, str]]:
    """Package and text of the files that training reads last in its first epoch."""
    with corpus.open("rb") as file:
        found = []
        for offset in _order(_offsets(corpus), seed, 0)[-count:]:
            file.seek(offset)
            entry = json.loads(file.readline())
            found.append((entry["package"], entry["text"]))
        return found


def _order(lines: list[int], seed: int, epoch: int) -> list[int]:
    return random.Random(f"{seed} epoch {epoch}").sample(lines, len(lines))


def _offsets(path: Path) -> list[int]:
    offsets, here = [], 0
    with path.open("rb") as file:
        for line in file:
            offsets.append(here)
            here += len(line)
    return offsets


@dataclass(slots=True)
class Losses:
    """Running means of a step's losses, in nats a token."""

    encoder: float = 0.0
    canvas: float = 0.0
    imbalance: float = 0.0

    def add(self, encoder: Tensor, canvas: Tensor, imbalance: Tensor, decay: float) -> None:
        """Take another step in; ``decay`` is the weight of what was before."""
        for name, value in (("encoder", encoder), ("canvas", canvas), ("imbalance", imbalance)):
            setattr(self, name, decay * getattr(self, name) + (1 - decay) * value.item())


def step_losses(
    network: Network, batch: Batch, recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Encoder loss, canvas loss and experts' imbalance of a batch."""
    device = network.embedding.device
    passes = best_passes(network, batch, recipe.dtype)
    with half_precision(device, recipe):
        states = passes.encode()
    canvas = noised(batch, network.config.vocab_size, recipe, generator)
    belief = None
    with half_precision(device, recipe):
        if torch.rand((), generator=generator) < recipe.self_conditioning:
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


def schedule(step: int, recipe: Recipe, elapsed: float, minutes: float, cooldown: float) -> float:
    """Factor of the learning rate: warm up by steps, then stay, then fall to zero in the last ``cooldown`` minutes."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    left = (minutes - elapsed) / cooldown if cooldown else 1.0
    return warm * max(0.0, min(1.0, left))


class Run:
    """A training run and its state on disk."""

    def __init__(self, arguments: argparse.Namespace, recipe: Recipe) -> None:
        self.arguments, self.recipe = arguments, recipe
        self.tokenizer = Tokenizer.from_file(arguments.tokenizer)
        self.network = Network(recipe.network(self.tokenizer.vocab_size))
        initialise(self.network, recipe.seed)
        self.network.to(arguments.device).train()
        self.optimizers = optimizers(self.network, recipe)
        self.stream = Stream(arguments.corpus, self.tokenizer, recipe, SHAPE)
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.made = 0  # steps since the start of this process
        self.losses = Losses()

    def resume(self, path: Path) -> None:
        """Go on from a state that `store` wrote."""
        state = torch.load(path, map_location=self.arguments.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.stream.files = state["files"]
        self.generator.set_state(state["generator"].cpu())

    def begin(self, checkpoint: Path) -> None:
        """Begin with the weights of a checkpoint and new optimisers."""
        self.network.load_state_dict(load(checkpoint, self.arguments.device).state_dict())
        training = json.loads((checkpoint / TRAINING).read_text("utf-8"))
        self.tokens, self.seconds = training["tokens"], training["seconds"]
        self.generator.manual_seed(self.tokens)
        self.stream.restart(self.tokens)

    def store(self, path: Path) -> None:
        """Write everything needed to go on, by way of a temporary file: a stop in the middle loses nothing."""
        state = {
            "network": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "files": self.stream.files,
            "generator": self.generator.get_state(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        torch.save(state, temporary)
        os.replace(temporary, path)

    def export(self, folder: Path) -> None:
        """Write the network as a DiffusionGemma repository."""
        extra = {
            "pad_token_id": self.tokenizer.pad_id,
            "eos_token_id": self.tokenizer.end_id,
            "bos_token_id": self.tokenizer.bos_id,
        }
        save(self.network, folder, extra)
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        config[LAYOUT_KEY] = asdict(BUDGET)
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        training = {
            "tokens": self.tokens,
            "steps": self.step,
            "seconds": round(self.seconds),
            "losses": {"encoder": round(self.losses.encoder, 4), "canvas": round(self.losses.canvas, 4)},
            "parameters": parameter_count(self.network),
            "recipe": asdict(self.recipe),
        }
        (folder / TRAINING).write_text(json.dumps(training, indent=2) + "\n", "utf-8")

    def train(self) -> None:
        """Train until the time is up."""
        arguments, begun = self.arguments, time.monotonic()
        stored, cooling, before = begun, False, self.seconds
        state = arguments.state / "state.pt"
        for batch in self.stream.batches():
            now = time.monotonic()
            elapsed = (now - begun) / 60
            if elapsed >= arguments.minutes:
                break
            if not cooling and arguments.cooldown and elapsed >= arguments.minutes - arguments.cooldown:
                cooling = True
                self.store(state)
            if not cooling and now - stored > 60 * arguments.every:
                self.store(state)
                stored = now
            if self.made == _SETTLED:
                settle()
            self._one_step(
                batch, schedule(self.step, self.recipe, elapsed, arguments.minutes, arguments.cooldown)
            )
            self.seconds = before + time.monotonic() - begun
            self._report(time.monotonic() - now)
        if not cooling:
            self.store(state)
        self.export(arguments.out)

    def _one_step(self, batch: Batch, factor: float) -> None:
        encoder, canvas, imbalance = step_losses(self.network, batch, self.recipe, self.generator)
        (encoder + canvas + self.recipe.imbalance * imbalance).backward()
        for optimizer, peak in zip(
            self.optimizers, (self.recipe.matrix_lr, self.recipe.other_lr), strict=True
        ):
            for group in optimizer.param_groups:
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.losses.add(encoder, canvas, imbalance, min(0.98, self.made / (self.made + 1)))
        self.step, self.made = self.step + 1, self.made + 1
        self.tokens += int(batch.lengths.sum()) + int((batch.group >= 0).sum())

    def _report(self, seconds: float) -> None:
        if self.step % 20 == 0:
            rows = self.recipe.rows * (SHAPE.prompt + SHAPE.canvas)
            losses = self.losses
            print(
                f"step {self.step}  {self.tokens / 1e6:.2f} M tokens  {rows / seconds:.0f} tokens/s  "
                f"encoder {losses.encoder:.3f}  canvas {losses.canvas:.3f}  imbalance {losses.imbalance:.2f}",
                file=sys.stderr,
                flush=True,
            )


def keep_freed_memory() -> None:
    """Make glibc keep what is freed: a step's large tensors otherwise cost a page fault for every 4 KB, each step.

    Three to five times faster matrix products on large operands; no effect elsewhere than on glibc.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mmap_max, trim_threshold, top_pad = -4, -1, -2
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(top_pad, 256 << 20)


def settle() -> None:
    """Let the garbage collector pass over what is there: compiling leaves a million objects that stay."""
    gc.collect()
    gc.freeze()


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.train.train", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus/train.jsonl"))
    parser.add_argument("--tokenizer", type=Path, default=Path("model/checkpoint/tokenizer.json"))
    parser.add_argument(
        "--state", type=Path, default=Path(".training"), help="folder of the state to go on from"
    )
    parser.add_argument(
        "--start", type=Path, help="checkpoint whose weights to begin with where there is no state"
    )
    parser.add_argument("--out", type=Path, default=Path(".training/export"), help="folder of the checkpoint")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument(
        "--cooldown", type=float, default=0.0, help="minutes at the end in which the rate falls"
    )
    parser.add_argument("--every", type=float, default=5.0, help="minutes between stored states")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--bf16",
        action="store_true",
        help="bfloat16 matrix products: for a GPU, or a CPU with AMX or AVX512-BF16",
    )
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compile the layers of padded rows: those on a GPU",
    )
    arguments = parser.parse_args(argv)
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    run = Run(arguments, Recipe(bf16=arguments.bf16))
    state = arguments.state / "state.pt"
    if state.exists():
        run.resume(state)
    elif arguments.start:
        run.begin(arguments.start)
    print(f"{parameter_count(run.network) / 1e6:.2f} M parameters, step {run.step}", file=sys.stderr)
    padded = packed_kind(arguments.device, run.recipe.dtype) is None
    with compiled.layers() if arguments.compile and padded else contextlib.nullcontext():
        run.train()


if __name__ == "__main__":
    main()
