"""Training rows: what is cut out is what is asked for, laid out as in serving."""

from __future__ import annotations

import itertools
import json
import random
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dgemma_model.train.data.examples import Cutter, RowMaker, Shape, collate, healed, take
from dgemma_model.train.losses import noised, step_losses
from dgemma_model.train.recipe import Recipe, schedule
from dgemma_model.train.step import loss
from dgemma_model.train.stream import Stream
from tests.model.tiny import TINY, network, tokenizer

TOKENIZER = tokenizer()
SHAPE = Shape(prompt=96, canvas=80, suffix=24)
SOURCE = Path(json.__file__).read_text("utf-8")


def rows(count: int = 60, seed: int = 0) -> list:  # type: ignore[type-arg]
    rng = random.Random(seed)
    maker = RowMaker(TOKENIZER, SHAPE, rng)
    made = ((spans, maker.row(SOURCE, spans)) for spans in Cutter(rng).cuts(SOURCE, count))
    return [(healed(SOURCE, spans), row) for spans, row in made if row is not None]


def test_the_main_canvas_asks_for_the_text_of_the_regions() -> None:
    for spans, row in rows():
        canvas = row.canvases[0]
        for (start, end), run in zip(spans, row.layout.runs, strict=True):
            wanted = canvas.targets[run]
            text = TOKENIZER.decode(wanted[: wanted.index(TOKENIZER.end_id)])
            assert text == SOURCE[start:end]


def test_inner_canvases_continue_the_prompt_that_they_see_to_the_end_of_its_line() -> None:
    seen = 0
    for _, row in rows():
        for canvas in row.canvases:
            if canvas.visible == len(row.layout.prompt):
                continue  # a main canvas
            seen += 1
            wanted = canvas.targets[: canvas.targets.index(TOKENIZER.end_id)]
            assert row.layout.prompt[canvas.visible : canvas.visible + len(wanted)] == wanted
            assert canvas.positions[0] == row.layout.prompt_positions[canvas.visible]
            following = row.layout.prompt[canvas.visible + len(wanted)]
            assert b"\n" in TOKENIZER.token_bytes(following)
    assert seen > 50


def test_regions_of_one_to_four_are_in_order_and_apart() -> None:
    counts = set()
    for spans in Cutter(random.Random(1)).cuts(SOURCE, 200):
        counts.add(len(spans))
        assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
    assert {1, 2} <= counts <= {1, 2, 3, 4}


def test_a_batch_masks_what_a_slot_must_not_see() -> None:
    batch = collate([row for _, row in rows()[:6]], SHAPE, TOKENIZER.pad_id)
    mask = batch.mask[:, 0]
    assert mask.any(-1).all(), "a slot that sees nothing makes its softmax undefined"
    for row in range(len(mask)):
        for slot in range(0, SHAPE.canvas, 7):
            assert int(mask[row, slot, : SHAPE.prompt].sum()) == int(batch.visible[row, slot])
            same = batch.group[row] == batch.group[row, slot]
            assert torch.equal(mask[row, slot, SHAPE.prompt :], same)


def test_the_encoder_learns_to_write_the_first_region_where_no_canvas_looks() -> None:
    made = rows()
    batch = collate([row for _, row in made[:6]], SHAPE, TOKENIZER.pad_id)
    for index, (spans, row) in enumerate(made[:6]):
        begin, end = len(row.layout.prompt), int(batch.lengths[index])
        mark, *text, last = batch.prompt[index, begin:end].tolist()
        assert (mark, last) == (TOKENIZER.write_id, TOKENIZER.end_id)
        assert TOKENIZER.decode(text) == SOURCE[slice(*spans[0])]
        positions = batch.prompt_positions[index, begin + 1 : end].tolist()
        assert positions[0] == row.layout.canvas_positions[0]
        assert positions == list(range(positions[0], positions[0] + len(positions)))
        assert int(batch.visible[index].max()) <= begin


def test_noise_replaces_targets_only_by_chance_and_never_all_alike() -> None:
    batch = collate([row for _, row in rows()[:6]], SHAPE, TOKENIZER.pad_id)
    noisy = batch.start < 0
    for fully, low, high in ((0.0, 0.3, 0.7), (1.0, 0.98, 1.0)):
        canvas = noised(
            batch, TOKENIZER.vocab_size, Recipe(fully_noised=fully), torch.Generator().manual_seed(0)
        )
        assert low < (canvas != batch.targets)[noisy].float().mean() <= high
        assert torch.equal(canvas[~noisy], batch.start[~noisy])


def test_drafts_say_what_the_file_says_elsewhere_and_are_marked_as_drafts() -> None:
    seen, copied = 0, 0
    for _, row in rows():
        for canvas in row.canvases:
            if canvas.start:
                seen += 1
                assert canvas.start[-1] == TOKENIZER.draft_id
                first = canvas.start[: canvas.start.index(TOKENIZER.end_id)]
                copied += TOKENIZER.decode_lossy(first).rstrip("\ufffd") in SOURCE
    assert seen > 20
    assert (
        copied > 0.9 * seen
    )  # the others begin with a word of here and end with what ends another word there


def test_a_stream_goes_on_where_it_stopped(tmp_path: Path) -> None:
    corpus = tmp_path / "train.jsonl"
    corpus.write_text("".join(json.dumps({"text": SOURCE + f"# {n}\n"}) + "\n" for n in range(12)))
    recipe = Recipe(rows=2, characters_per_row=200)
    stream = Stream(corpus, TOKENIZER, recipe, SHAPE)
    batch = next(stream.batches())
    assert batch.prompt.shape == (2, SHAPE.prompt)
    files = stream.files
    resumed = Stream(corpus, TOKENIZER, recipe, SHAPE)
    resumed.files = files
    next(resumed.batches())
    assert resumed.files > files


@pytest.mark.parametrize(
    ("step", "elapsed", "wanted"),
    [(0, 0.0, 0.1), (99, 5.0, 1.0), (99, 8.0, 1.0), (99, 9.0, 0.5), (99, 10.0, 0.0)],
)
def test_the_rate_warms_up_stays_and_falls(step: int, elapsed: float, wanted: float) -> None:
    assert schedule(step, Recipe(warmup=10), elapsed, minutes=10, cooldown=2) == pytest.approx(wanted)


def test_bfloat16_gives_nearly_the_losses_and_gradients_of_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "_GRAIN", 1e-4)  # what is left out is tested with the loss
    batch = collate([row for _, row in rows()[:4]], SHAPE, TOKENIZER.pad_id)
    # All experts are chosen: rounding would otherwise tip some tokens from one expert to another.
    config = replace(TINY, vocab_size=TOKENIZER.vocab_size, top_k_experts=TINY.num_experts)
    results = []
    for bf16 in (False, True):
        lean = network(config).train().requires_grad_(True)
        recipe = Recipe(bf16=bf16, self_conditioning=1.0)
        encoder, canvas, _ = step_losses(lean, batch, recipe, torch.Generator().manual_seed(0))
        (encoder + canvas).backward()
        assert lean.embedding.grad is not None
        results.append((encoder.detach(), canvas.detach(), lean.embedding.grad))
    for own, reference in zip(results[1], results[0], strict=True):
        assert (own - reference).norm() < 0.2 * reference.norm()


def test_batches_are_of_like_length_and_take_each_row_once() -> None:
    made = [row for _, row in rows(200)]
    pool, taken = list(made), []
    while len(pool) >= 40:
        taken.append(take(pool, 4))
    assert _spread(taken) < _spread([made[at : at + 4] for at in range(0, len(made) - 4, 4)]) / 2
    assert sorted(map(id, [*itertools.chain(*taken), *pool])) == sorted(map(id, made))
    assert len(take(pool, 99)) < 40


def _spread(batches: list) -> float:  # type: ignore[type-arg]
    """Standard deviation of their tokens."""
    made = [collate(batch, SHAPE, TOKENIZER.pad_id) for batch in batches]
    return statistics.pstdev(int(batch.lengths.sum()) + int((batch.group >= 0).sum()) for batch in made)
