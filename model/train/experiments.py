"""Small training runs that differ in one thing each: ``python -m dgemma_model.train.experiments``.

Every trial reads the same files in the same order, as many tokens, from scratch, and is asked for the same regions of
the held-out packages. `LOG.md` tells what came of them. A trial that is in the results already is not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from dgemma_model.denoise import sampler
from dgemma_model.denoise.loop import Canvas, Schedule, denoise
from dgemma_model.fill.infiller import Infiller
from dgemma_model.layouts.infill import bucket
from dgemma_model.network.folder import TOKENIZER
from dgemma_model.network.native_library import processor_for
from dgemma_model.network.prompt_cache import PromptCache
from dgemma_model.network.runner import Prompt
from dgemma_model.protocol import FillOptions
from dgemma_model.tokenizer import UndecodableTokens
from dgemma_model.train.evaluate.cases import Case, Files, Kind, draw, read_files
from dgemma_model.train.evaluate.scores import last_draft
from dgemma_model.train.fit.mixture import compare
from dgemma_model.train.memory import keep_freed_memory, settle
from dgemma_model.train.recipe import Recipe, schedule
from dgemma_model.train.run import SETTLED, Run

CASES = 600
"""Rests of lines that are asked for."""

_COOLDOWN = 0.3  # of the tokens
_STEPS = 4
_TIMED = 60  # cases whose denoising is timed

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """What is different.

    Attributes:
        recipe: of the small recipe, by name.
        cooldown: share of the tokens in which the rate falls.
        vocabulary: folder of another tokenizer.
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    cooldown: float = _COOLDOWN
    vocabulary: Path | None = None


TRIALS: Mapping[str, Trial] = {
    "base": Trial(),
    "base, another seed": Trial({"seed": 1}),
    "no self-conditioning": Trial({"self_conditioning": 0.0}),
    "self-conditioning 0.6": Trial({"self_conditioning": 0.6}),
    "encoder's loss × 0.3": Trial({"encoder_weight": 0.3}),
    "encoder's loss × 3": Trial({"encoder_weight": 3.0}),
    "dense": Trial({"dense": 320, "experts": 1, "top_k": 1}),
    "16 experts": Trial({"experts": 16}),
    "one of 8 wide experts": Trial({"top_k": 1, "expert": 128}),
    "narrow dense part, wide experts": Trial({"dense": 128, "expert": 128}),
    "prompts of 256": Trial({"prompt": 256, "rows": 20}),
    "prompts of 1,024": Trial({"prompt": 1024, "rows": 7}),
    "vocabulary of 16k": Trial(vocabulary=Path(".cache/tokenizer-16k")),
    "6 layers": Trial({"layers": 6}),
    "hidden size 192": Trial({"hidden": 192, "dense": 384, "expert": 96}),
    "batches of 24": Trial({"rows": 24}),
    "no cool-down": Trial(cooldown=0.0),
    "no cool-down, averaged weights": Trial({"average": 0.98}, cooldown=0.0),
    "averaged weights": Trial({"average": 0.98}),
}


def small() -> Recipe:
    """What the trials start from: narrow, so that many fit into an hour."""
    return Recipe(hidden=128, dense=256, experts=8, expert=64, bf16=processor_for(torch.bfloat16) is not None)


def run(trial: Trial, corpus: Path, tokenizer: Path, tokens: float, out: Path) -> Result:
    """Train one, export it to ``out``, and tell what it cost."""
    arguments = argparse.Namespace(corpus=corpus / "train.jsonl", tokenizer=tokenizer, device="cpu")
    trained = Run(arguments, replace(small(), **trial.recipe))
    begun = time.process_time()
    for batch in trained.stream.batches():
        if trained.tokens >= tokens:
            break
        if trained.made == SETTLED:
            settle()
        cooldown = trial.cooldown * tokens
        trained.one_step(batch, schedule(trained.step, trained.recipe, trained.tokens, tokens, cooldown))
        if trained.step % 50 == 0:
            print(f"step {trained.step}, {trained.losses}", file=sys.stderr, flush=True)
    seconds = time.process_time() - begun
    trained.export(out)
    shutil.copy(tokenizer, out / TOKENIZER)
    return {"tokens a second": round(trained.tokens / seconds), "steps": trained.step}


def score(folder: Path, files: Files) -> Result:
    """What a trained checkpoint is worth."""
    infiller = Infiller.load(folder, calibrated=False)
    infiller.warm_up()
    cases = list(draw(files, Kind.REST_OF_LINE, CASES))
    return {
        "rest of line": round(statistics.fmean(_filled(infiller, case) for case in cases), 4),
        "encoder, bits a character": round(encoder_bits(infiller, cases), 4),
        **Denoiser(infiller).score(cases),
    }


def _filled(infiller: Infiller, case: Case) -> bool:
    options = FillOptions(steps=_STEPS)
    fills = last_draft(infiller, case, options).alternatives[0]
    return all(case.right([fill.text for fill in fills]))


def encoder_bits(infiller: Infiller, cases: Sequence[Case]) -> float:
    """What the encoder alone, without copying, needs for a character of the regions."""
    compared = [one for case in cases for one in compare(infiller, case)]
    bits = -sum(math.log2(max(one.probabilities.network, 1e-9)) for one in compared)
    return bits / sum(len(case.masked.healed().stems[0] + case.truths[0].rstrip()) for case in cases)


class Denoiser:
    """The denoiser without any guess: canvases that begin as noise."""

    def __init__(self, infiller: Infiller) -> None:
        self._infiller = infiller
        self._cache = PromptCache(infiller.runner)

    def score(self, cases: Sequence[Case]) -> Result:
        """Exact match, loss in the first step, and milliseconds of a step."""
        exact, losses, milliseconds = [], [], []
        for index, case in enumerate(cases):
            begun = time.process_time()
            *_, (text, first, steps) = self._fill(case)
            if index >= len(cases) - _TIMED:
                milliseconds.append(1000 * (time.process_time() - begun) / steps)
            exact.append(all(case.right([text])))
            losses += first
        return {
            "denoiser alone": round(statistics.fmean(exact), 4),
            "denoiser, nats a token from noise": round(statistics.fmean(losses), 4),
            "milliseconds a step": round(statistics.median(milliseconds), 2),
        }

    def _fill(self, case: Case) -> Iterator[tuple[str, list[float], int]]:
        infiller, encode = self._infiller, self._infiller.tokenizer.encode
        healed = case.masked.healed()
        begun = healed.stems[0]
        truth = [*encode(begun + case.truths[0].rstrip()), infiller.tokenizer.end_id]
        width = bucket(len(truth) - 1)
        layout = infiller.prompts.lay_out(healed, [width])
        prompt, _ = self._cache.encode(layout.prompt, layout.prompt_positions)
        canvas, known = Canvas.empty(layout.canvas_positions, layout.runs), encode(begun)[:width]
        start = torch.zeros(width, dtype=torch.long)
        start[: len(known)] = torch.tensor(known, dtype=torch.long)
        canvas = replace(canvas, start=start, pinned=torch.arange(width) < len(known))
        losses: list[float] = []
        end = infiller.tokenizer.end_id
        for state in denoise(infiller.runner, prompt, canvas, end, Schedule(steps=_STEPS), lambda: False):
            if state.step == 1:
                losses = self._losses(prompt, canvas, truth)
            yield self._text(state.ids[0].tolist(), begun), losses, state.step

    def _losses(self, prompt: Prompt, canvas: Canvas, truth: Sequence[int]) -> list[float]:
        """Of the region's tokens, all at once, given noise."""
        runner = self._infiller.runner
        start, held = canvas.begin(1)
        noise = sampler.noise(start.shape, runner.config.vocab_size, torch.Generator().manual_seed(1))
        states = runner.decode(torch.where(held, start, noise), canvas.positions[None], prompt)
        scores = runner.logits(states)[0].log_softmax(-1)
        free = [(slot, token) for slot, token in enumerate(truth) if not canvas.pinned[slot]]
        return [-float(scores[slot, token]) for slot, token in free]

    def _text(self, ids: list[int], begun: str) -> str:
        tokenizer = self._infiller.tokenizer
        length = ids.index(tokenizer.end_id) if tokenizer.end_id in ids else len(ids)
        try:
            return tokenizer.decode(ids[:length]).removeprefix(begun)
        except UndecodableTokens:
            return ""


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.train.experiments", description=__doc__)
    parser.add_argument(
        "trials", nargs="*", metavar="TRIAL", help=f"all of them, or some: {', '.join(TRIALS)}"
    )
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus"))
    parser.add_argument("--tokenizer", type=Path, default=Path("model/checkpoint") / TOKENIZER)
    parser.add_argument("--tokens", type=float, default=2e6)
    parser.add_argument("--out", type=Path, default=Path("bench/results/experiments.json"))
    arguments = parser.parse_args(argv)
    unknown = set(arguments.trials) - set(TRIALS)
    if unknown:
        parser.error(f"There is no trial {min(unknown)}; use {', '.join(TRIALS)}.")
    keep_freed_memory()
    torch.set_num_threads(1)
    files = read_files(arguments.corpus / "held_out.jsonl")
    for name in arguments.trials or TRIALS:
        results: dict[str, Result] = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        if name in results:
            continue
        trial = TRIALS[name]
        tokenizer = trial.vocabulary / TOKENIZER if trial.vocabulary else arguments.tokenizer
        with tempfile.TemporaryDirectory() as folder:
            trained = run(trial, arguments.corpus, tokenizer, arguments.tokens, Path(folder))
            results[name] = trained | score(Path(folder), files)
        print(f"{name}: {results[name]}", flush=True)
        arguments.out.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
