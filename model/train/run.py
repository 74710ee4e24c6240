"""Train the bundled checkpoint: ``python -m dgemma_model.train.run --minutes 60``.

The same script runs on one GPU, or on a CPU in one process or several (`parallel`), for a given time, and goes on from
its last state where there is one; what several processes have stored, any number can go on from.
Each step: encode the prompts, noise the canvases (t ~ U(0, 1), a share of them fully; uniform replacement, as
DiffusionGemma has no mask token), denoise them, some of the time a second time with the first answer as
self-conditioning, and add the encoder's next-token loss. The learning rate warms up, stays, and falls to zero in the
last part of the time (warm-stable-decay, Hu et al., "MiniCPM", 2024); the state before the fall is kept, so that a
later run can go on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dgemma_model.errors import ModelError
from dgemma_model.layouts.infill import LAYOUT_KEY
from dgemma_model.network.checkpoint import load, parameter_count, save
from dgemma_model.network.folder import CONFIG
from dgemma_model.network.layers import Network
from dgemma_model.tokenizer import Tokenizer
from dgemma_model.train.data.examples import Batch
from dgemma_model.train.losses import Losses, step_losses
from dgemma_model.train.memory import keep_freed_memory, settle
from dgemma_model.train.recipe import Recipe, schedule
from dgemma_model.train.step import compiled
from dgemma_model.train.step.muon import Muon
from dgemma_model.train.step.parallel import Group, work_together
from dgemma_model.train.step.passes import packed_kind
from dgemma_model.train.stream import Stream

TRAINING = "training.json"
SETTLED = 12  # steps until everything is compiled


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


def optimizers(network: Network, recipe: Recipe, group: Group | None = None) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings, routers, norms and scales; for one of a group."""
    inside = [
        parameter
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1 and name != "embedding" and not name.endswith("router")
    ]
    chosen = {id(parameter) for parameter in inside}
    others = [parameter for parameter in network.parameters() if id(parameter) not in chosen]
    return [
        Muon(inside, lr=recipe.matrix_lr, weight_decay=0.01, bf16=recipe.bf16, group=group),
        torch.optim.AdamW(others, lr=recipe.other_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


def _averaged(network: Network, recipe: Recipe) -> AveragedModel:
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))


class Run:
    """A training run and its state on disk; one of several processes that differ in rows and noise only.

    Attributes:
        step: how many were made, in earlier runs too, like `tokens` and `seconds`.
        tokens: that all processes have read together.
        seconds: that they have taken, all added up.
        minutes: since this run's start, as the processes agreed on in the last step: all have to stop in the same one.
        losses: means over the processes.
    """

    def __init__(self, arguments: argparse.Namespace, recipe: Recipe, group: Group | None = None) -> None:
        self.arguments, self.recipe, self.group = arguments, recipe, group or Group()
        self.tokenizer = Tokenizer.from_file(arguments.tokenizer)
        self.network = Network(recipe.network(self.tokenizer.vocab_size))
        initialise(self.network, recipe.seed)
        self.network.to(arguments.device).train()
        self.optimizers = optimizers(self.network, recipe, self.group)
        self.average = _averaged(self.network, recipe) if recipe.average else None
        self.stream = Stream(
            arguments.corpus, self.tokenizer, recipe, recipe.shape, self.group.rank, self.group.size
        )
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.step, self.tokens, self.seconds, self.minutes = 0, 0, 0.0, 0.0
        self.made = 0  # steps since the start of this process
        self.losses = Losses()
        self._begun = time.monotonic()

    def resume(self, path: Path) -> None:
        """Go on from a state that `store` wrote."""
        state = torch.load(path, map_location=self.arguments.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.average and state.get("average"):
            self.average.load_state_dict(state["average"])
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
        """Write everything needed to go on, by way of a temporary file: a stop in the middle loses nothing.

        Only the process that leads does; the others' noise and place in the corpus follow from its own.
        """
        if not self.group.leads:
            return
        state = {
            "network": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": self.average and self.average.state_dict(),
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
        """Write the network as a DiffusionGemma repository, if this is the process that leads."""
        if not self.group.leads:
            return
        extra = {
            "pad_token_id": self.tokenizer.pad_id,
            "eos_token_id": self.tokenizer.end_id,
            "bos_token_id": self.tokenizer.bos_id,
        }
        save(self._exported(), folder, extra)
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        config[LAYOUT_KEY] = asdict(self.recipe.budget)
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

    def _exported(self) -> Network:
        averaged = self.average.module if self.average else self.network
        assert isinstance(averaged, Network)
        return averaged

    def train(self) -> None:
        """Train until the time is up."""
        arguments, before = self.arguments, self.seconds
        self._begun = time.monotonic()
        stored, cooling = 0.0, False
        state = arguments.state / "state.pt"
        self._draw_apart()
        for batch in self.stream.batches():
            if self.minutes >= arguments.minutes:
                break
            if not cooling and arguments.cooldown and self.minutes >= arguments.minutes - arguments.cooldown:
                cooling = True
                self.store(state)
            if not cooling and self.minutes - stored > arguments.every:
                self.store(state)
                stored = self.minutes
            if self.made == SETTLED:
                settle()
            now = time.monotonic()
            self.one_step(
                batch, schedule(self.step, self.recipe, self.minutes, arguments.minutes, arguments.cooldown)
            )
            self.seconds = before + 60 * self.minutes * self.group.size
            self._report(time.monotonic() - now)
        if not cooling:
            self.store(state)
        self.export(arguments.out)

    def _draw_apart(self) -> None:
        """Give each process noise of its own; the one that leads goes on with what it has."""
        if not self.group.leads:
            common = int(torch.randint(2**62, (), generator=self.generator))
            self.generator.manual_seed(common + self.group.rank)

    def one_step(self, batch: Batch, factor: float) -> None:
        """Learn from a batch, at this share of the peak learning rates."""
        recipe = self.recipe
        encoder, canvas, imbalance = step_losses(
            self.network, batch, recipe, self.generator, self.self_conditioned()
        )
        (recipe.encoder_weight * encoder + canvas + recipe.imbalance * imbalance).backward()
        self._agree(batch, (encoder, canvas, imbalance))
        for optimizer, peak in zip(self.optimizers, (recipe.matrix_lr, recipe.other_lr), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update_parameters(self.network)
        self.step, self.made = self.step + 1, self.made + 1

    def self_conditioned(self) -> bool:
        """Whether this step is self-conditioned: in all processes or in none, as it takes a sixth longer."""
        return random.Random(f"{self.recipe.seed} step {self.step}").random() < self.recipe.self_conditioning

    def _agree(self, batch: Batch, losses: tuple[Tensor, Tensor, Tensor]) -> None:
        """Go on with the gradients, losses, tokens and time of all processes."""
        tokens = int(batch.lengths.sum()) + int((batch.group >= 0).sum())
        figures = [*(loss.item() for loss in losses), tokens, (time.monotonic() - self._begun) / 60]
        encoder, canvas, imbalance, tokens_of_each, self.minutes = self.group.average(
            list(self.network.parameters()), figures
        )
        self.losses.add(encoder, canvas, imbalance, min(0.98, self.made / (self.made + 1)))
        self.tokens += round(tokens_of_each * self.group.size)

    def _report(self, seconds: float) -> None:
        if self.step % 20 == 0 and self.group.leads:
            shape = self.recipe.shape
            rows = self.group.size * self.recipe.rows * (shape.prompt + shape.canvas)
            losses = self.losses
            print(
                f"step {self.step}  {self.tokens / 1e6:.2f} M tokens  {rows / seconds:.0f} tokens/s  "
                f"encoder {losses.encoder:.3f}  canvas {losses.canvas:.3f}  imbalance {losses.imbalance:.2f}",
                file=sys.stderr,
                flush=True,
            )


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.train.run", description=__doc__)
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
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        help="each makes batches of its own and all take the same steps: on a CPU, one for each core is fastest",
    )
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
    if arguments.processes < 1 or (arguments.processes > 1 and arguments.device != "cpu"):
        parser.error("--processes must be 1, or more on a CPU")
    try:
        work_together(work, arguments, arguments.processes)
    except ModelError as error:
        sys.exit(str(error))


def work(group: Group, arguments: argparse.Namespace) -> None:
    """Train as the command line says, as one of a group."""
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    run = Run(arguments, Recipe(bf16=arguments.bf16), group)
    state = arguments.state / "state.pt"
    if state.exists():
        run.resume(state)
    elif arguments.start:
        run.begin(arguments.start)
    if group.leads:
        print(f"{parameter_count(run.network) / 1e6:.2f} M parameters, step {run.step}", file=sys.stderr)
    padded = packed_kind(arguments.device, run.recipe.dtype) is None
    with compiled.layers() if arguments.compile and padded else contextlib.nullcontext():
        run.train()


if __name__ == "__main__":
    main()
