"""The forms of a quantised network against a slow and obvious one, for every kind of processor that runs here."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from dgemma_model.errors import ModelError
from dgemma_model.network import quantized_library
from dgemma_model.network.open_quantized import open_network
from dgemma_model.network.quantized import (
    Checkpoint,
    Experts,
    Matrix,
    QuantizedNetwork,
    Shape,
    ancestry,
    depths,
)
from dgemma_model.network.quantized_runner import QuantizedRunner
from dgemma_model.network.quantized_torch import QuantizedTorch
from tests.model.network.quantized_reference import (
    Floats,
    Reference,
    random_tensors,
    tiled,
    tiled_bytes,
    tiled_nibbles,
)

SHAPE = Shape(vocabulary=531, hidden=96, layers=2, heads=6, kv_heads=2, head_dim=32, inner=160, epsilon=1e-6)
SHAPES = {
    "small": SHAPE,
    "one head of keys for seven": dataclasses.replace(SHAPE, heads=7, kv_heads=1, head_dim=64),
    "as many heads of keys": dataclasses.replace(SHAPE, heads=4, kv_heads=4, hidden=160, inner=96),
    "large heads": dataclasses.replace(SHAPE, heads=2, kv_heads=1, head_dim=96, vocabulary=257),
    "a tile and a token": dataclasses.replace(SHAPE, vocabulary=17, hidden=32, inner=32),
}
QWEN = ("query", "key", "value")

Make = Callable[[Checkpoint], QuantizedNetwork]

FORMS: dict[str, Make] = {"torch": lambda it: QuantizedTorch(it, dtype=torch.float32)}
for _kind in quantized_library.kinds():
    FORMS[_kind] = lambda it, kind=_kind: QuantizedRunner(it, kind, 1)  # type: ignore[misc]
if quantized_library.kinds():
    FORMS["two threads"] = lambda it: QuantizedRunner(it, threads=2)
    FORMS["five threads"] = lambda it: QuantizedRunner(it, threads=5)

every_form = pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
compiled = pytest.mark.skipif(not quantized_library.kinds(), reason="nothing was compiled")


@functools.cache
def made(
    shape: Shape = SHAPE, biases: tuple[str, ...] = QWEN, tied: bool = True, bits: int = 4
) -> Checkpoint:
    return Checkpoint(shape, random_tensors(shape, biases=biases, tied=tied, bits=bits))


def drawn(count: int, shape: Shape = SHAPE, seed: int = 0) -> NDArray[np.int32]:
    return np.random.default_rng(seed).integers(0, shape.vocabulary, count, np.int32)


def before(count: int) -> NDArray[np.bool_]:
    """Every token sees itself and those before it."""
    return np.tril(np.ones((count, count), np.bool_))


def expected(
    checkpoint: Checkpoint,
    ids: NDArray[np.int32],
    seen: NDArray[np.bool_] | None = None,
    positions: NDArray[np.int32] | None = None,
) -> Floats:
    at = np.arange(len(ids), dtype=np.int32) if positions is None else positions
    return Reference(checkpoint, rounded=False).states(ids, at, before(len(ids)) if seen is None else seen)


def assert_same(found: Floats, wanted: Floats, within: float = 0.03) -> None:
    """Equal but for the rounding of activations: what is computed wrongly differs by far more."""
    assert found.shape == wanted.shape
    size = float(np.abs(wanted).mean())
    assert np.abs(found - wanted).mean() < within * size
    assert np.abs(found - wanted).max() < 10 * within * size


# What is stored


def test_four_bits_are_stored_as_the_documentation_says() -> None:
    random = np.random.default_rng(0)
    codes, scales, minima = (
        random.integers(0, 16, (16, 64), np.uint8),
        random.random((16, 2)),
        random.random((16, 2)),
    )
    scales, minima = scales.astype(np.float16), minima.astype(np.float16)
    stored = tiled_nibbles(codes)
    matrix = Matrix(16, 64, stored, tiled(scales), tiled(minima))
    row, group, quad, column = 5, 1, 3, 2
    byte = stored[0, group, (quad * 16 + row) * 4 + column]
    assert byte & 15 == codes[row, group * 32 + 4 * quad + column]
    assert byte >> 4 == codes[row, group * 32 + 4 * quad + column + 16]
    wide = codes * np.repeat(scales, 32, 1).astype(np.float32) + np.repeat(minima, 32, 1).astype(np.float32)
    assert np.allclose(matrix.weights(), wide, atol=1e-6)


def test_rows_that_fill_up_a_tile_are_no_rows_of_a_matrix() -> None:
    codes = np.random.default_rng(0).integers(-127, 128, (19, 32), np.int8)
    stored = tiled_bytes(codes)
    assert stored.shape == (2, 1, 512)
    matrix = Matrix(19, 32, stored, tiled(np.ones((19, 1), np.float16)), None)
    assert np.array_equal(matrix.weights(), codes)


def test_a_matrix_of_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match="16 × 64"):
        Matrix(16, 64, tiled_bytes(np.zeros((16, 32), np.int8)), tiled(np.ones((16, 1), np.float16)), None)


# What is computed


@every_form
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_prompt_gives_the_states_of_the_obvious_network(make: Make, shape: Shape) -> None:
    network = make(made(shape))
    ids = drawn(37, shape)
    assert_same(network.run(network.prompt(), ids), expected(made(shape), ids))


@every_form
@pytest.mark.parametrize("biases", [(), QWEN, ("query", "key", "value", "out")], ids=len)
@pytest.mark.parametrize("bits", [4, 8])
def test_biases_and_eight_bits(make: Make, biases: tuple[str, ...], bits: int) -> None:
    checkpoint = made(biases=biases, bits=bits)
    network = make(checkpoint)
    assert_same(network.run(network.prompt(), drawn(9)), expected(checkpoint, drawn(9)))


@compiled
@pytest.mark.parametrize("kind", quantized_library.kinds())
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("count", [1, 3, 8, 33])
def test_one_layer_rounds_as_the_obvious_network_rounds(kind: str, bits: int, count: int) -> None:
    checkpoint = made(dataclasses.replace(SHAPE, layers=1), bits=bits)
    network, ids = QuantizedRunner(checkpoint, kind, 1), drawn(count)
    found = network.run(network.prompt(), ids)
    wanted = Reference(checkpoint, rounded=True).states(ids, np.arange(count, dtype=np.int32), before(count))
    # An activation that lies between two steps may be rounded the other way; it moves the numbers of its token.
    assert np.quantile(np.abs(found - wanted), 0.25) < 1e-5
    assert_same(found, wanted, 0.01)


@every_form
@pytest.mark.parametrize("count", range(1, 34))
def test_any_number_of_tokens_behind_a_prompt(make: Make, count: int) -> None:
    network, ids = make(made()), drawn(count + 19)
    prompt = network.prompt()
    network.extend(prompt, ids[:19])
    assert_same(network.run(prompt, ids[19:]), expected(made(), ids)[19:])


@every_form
def test_a_long_prompt_goes_in_by_pieces(make: Make) -> None:
    network, ids = make(made()), drawn(600)
    prompt = network.prompt()
    assert_same(network.extend(prompt, ids, last=300), expected(made(), ids)[-300:])
    assert prompt.length == 600


@every_form
def test_only_wanted_states_are_returned(make: Make) -> None:
    network, ids = make(made()), drawn(12)
    prompt = network.prompt()
    wanted = [1, 4, 5, 11]
    assert_same(network.run(prompt, ids, wanted=wanted), expected(made(), ids)[wanted])
    assert network.run(prompt, ids, wanted=[]).shape == (0, SHAPE.hidden)


@every_form
def test_what_no_state_was_wanted_of_is_in_the_prompt(make: Make) -> None:
    network, ids = make(made()), drawn(30)
    prompt = network.prompt()
    network.run(prompt, ids[:20], wanted=[])
    prompt.keep(range(20))
    assert_same(network.run(prompt, ids[20:]), expected(made(), ids)[20:])


@every_form
def test_a_prompt_shrinks_and_grows_elsewhere(make: Make) -> None:
    network, ids, other = make(made()), drawn(40), drawn(25, seed=1)
    prompt = network.prompt()
    network.extend(prompt, ids)
    prompt.truncate(17)
    assert_same(network.run(prompt, other), expected(made(), np.concatenate((ids[:17], other)))[17:])


@every_form
def test_a_copy_goes_its_own_way(make: Make) -> None:
    network, ids, other = make(made()), drawn(50), drawn(9, seed=1)
    prompt, copied = network.prompt(), network.prompt()
    network.extend(prompt, ids)
    copied.copy(prompt, 33)
    network.extend(copied, other)
    assert_same(network.run(copied, other), expected(made(), np.concatenate((ids[:33], other, other)))[42:])
    assert_same(network.run(prompt, other), expected(made(), np.concatenate((ids, other)))[50:])


@every_form
def test_a_tree_of_continuations_is_one_pass(make: Make) -> None:
    network, ids, nodes = make(made()), drawn(13), drawn(6, seed=1)
    prompt, parents = network.prompt(), [-1, 0, 0, 1, 2, -1]
    network.extend(prompt, ids)
    found = network.run(prompt, nodes, positions=13 + depths(parents), seen=ancestry(parents))
    for path in ([0, 1, 3], [0, 2, 4], [5]):
        alone = expected(made(), np.concatenate((ids, nodes[path])))
        assert_same(found[path], alone[13:])


@every_form
def test_a_branch_of_a_tree_is_kept(make: Make) -> None:
    network, ids, nodes, more = make(made()), drawn(13), drawn(5, seed=1), drawn(3, seed=2)
    prompt, parents = network.prompt(), [-1, 0, 0, 1, 2]
    network.extend(prompt, ids)
    network.run(prompt, nodes, positions=13 + depths(parents), seen=ancestry(parents))
    prompt.keep([0, 2, 4])
    whole = np.concatenate((ids, nodes[[0, 2, 4]], more))
    assert prompt.length == 16
    assert_same(network.run(prompt, more), expected(made(), whole)[16:])


@every_form
def test_slots_of_a_canvas_see_each_other(make: Make) -> None:
    network, ids, slots = make(made()), drawn(13), drawn(8, seed=1)
    prompt = network.prompt()
    network.extend(prompt, ids)
    seen = before(21)
    seen[13:, 13:] = True
    wanted = expected(made(), np.concatenate((ids, slots)), seen)
    assert_same(network.run(prompt, slots, seen=np.ones((8, 8), np.bool_)), wanted[13:])


@every_form
def test_positions_may_be_given(make: Make) -> None:
    network, ids = make(made()), drawn(10)
    at = np.array([3, 4, 5, 90, 91, 92, 7, 8, 9, 10], np.int32)
    assert_same(network.run(network.prompt(), ids, positions=at), expected(made(), ids, positions=at))


EXPERTS = dataclasses.replace(SHAPE, experts=Experts(number=5, chosen=2, width=64, mask=SHAPE.vocabulary - 1))


@every_form
@pytest.mark.parametrize("masked", [[], [7], [0, 3, 4, 8], list(range(9))], ids=len)
def test_masked_slots_reach_experts_and_nothing_else_does(make: Make, masked: list[int]) -> None:
    network, ids, slots = make(made(EXPERTS)), drawn(6), drawn(9, seed=1)
    slots[masked] = SHAPE.vocabulary - 1
    prompt = network.prompt()
    network.extend(prompt, ids)
    seen = before(15)
    seen[6:, 6:] = True
    found = network.run(prompt, slots, seen=np.ones((9, 9), np.bool_))
    assert_same(found, expected(made(EXPERTS), np.concatenate((ids, slots)), seen)[6:])
    assert_same(
        network.run(prompt, slots, seen=np.ones((9, 9), np.bool_), wanted=[3, 4]), found[[3, 4]], 0.001
    )


def test_without_masked_slots_experts_change_nothing() -> None:
    make = FORMS[(*quantized_library.kinds(), "torch")[0]]
    with_experts, tensors = make(made(EXPERTS)), random_tensors(EXPERTS)
    without = make(Checkpoint(SHAPE, tensors))
    found = [network.run(network.prompt(), drawn(9)) for network in (with_experts, without)]
    assert np.array_equal(*found)


# What is made of states


@every_form
@pytest.mark.parametrize("tied", [True, False])
def test_scores_come_from_the_embedding_or_from_a_head(make: Make, tied: bool) -> None:
    checkpoint = made(tied=tied)
    network = make(checkpoint)
    states = network.run(network.prompt(), drawn(7))
    assert_same(network.scores(states), Reference(checkpoint, rounded=False).scores(states))


@every_form
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_ranking_says_what_the_scores_say(make: Make, shape: Shape) -> None:
    network = make(made(shape))
    states = network.run(network.prompt(), drawn(9, shape))
    scores = torch.tensor(network.scores(states)).double().log_softmax(-1).numpy()
    asked = np.stack((drawn(9, shape, 1), drawn(9, shape, 2)), 1)
    found = network.rank(states, 5, asked)
    order = np.argsort(-scores, 1)[:, :5]
    assert np.array_equal(found.best, order)
    assert np.allclose(found.best_likelihood, np.take_along_axis(scores, order, 1), atol=1e-5)
    assert np.allclose(found.asked_likelihood, np.take_along_axis(scores, asked, 1), atol=1e-5)


@every_form
def test_a_ranking_may_be_of_asked_tokens_alone(make: Make) -> None:
    network = make(made())
    states = network.run(network.prompt(), drawn(4))
    asked = drawn(4).reshape(4, 1)
    found = network.rank(states, 0, asked)
    assert found.best.shape == (4, 0)
    assert np.allclose(found.asked_likelihood, network.rank(states, 3, asked).asked_likelihood)


# How the compiled form behaves


@compiled
def test_kinds_of_processors_and_numbers_of_threads_give_the_same_numbers() -> None:
    one_layer = made(dataclasses.replace(SHAPE, layers=1))
    ids = drawn(33)
    found = [
        make(one_layer).run(make(one_layer).prompt(), ids) for name, make in FORMS.items() if name != "torch"
    ]
    for other in found[1:]:
        assert np.quantile(np.abs(other - found[0]), 0.25) < 1e-6
        assert_same(other, found[0], 0.01)


@compiled
def test_threads_do_not_change_a_bit() -> None:
    results = []
    for threads in (1, 2, 3):
        network = QuantizedRunner(made(), threads=threads)
        states = network.run(network.prompt(), drawn(65))
        ranking = network.rank(states, 3, drawn(65).reshape(-1, 1))
        results.append((states, ranking.best_likelihood, ranking.asked_likelihood))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@compiled
def test_what_would_crash_is_refused() -> None:
    network = QuantizedRunner(made(), threads=1)
    prompt = network.prompt()
    for ids in ([SHAPE.vocabulary], [-1]):
        with pytest.raises(ValueError, match="from 0 to 530"):
            network.run(prompt, ids)
    for wanted in ([1, 0], [3], [-1]):
        with pytest.raises(ValueError, match="ascend"):
            network.run(prompt, [1, 2, 3], wanted=wanted)
    with pytest.raises(ValueError, match="belong to each token"):
        network.run(prompt, [1, 2, 3], positions=[1, 2])
    with pytest.raises(ValueError, match="must ascend"):
        prompt.keep([1, 0])
    with pytest.raises(ValueError, match="from 0 to 530"):
        network.rank(network.run(prompt, [1]), 1, [[531]])


# Files


def written(folder: Path, **storage: str) -> Path:
    tensors = random_tensors(SHAPE)
    names = list(tensors)
    for index, part in enumerate((names[::2], names[1::2])):
        save_file({name: tensors[name] for name in part}, folder / f"packed-{index}.safetensors")
    sizes = dataclasses.asdict(SHAPE)
    plain = sizes | {"intermediate": sizes["inner"]}
    plain = {name: value for name, value in plain.items() if name != "experts"}
    config = {"plain": plain, "storage": {"layout": "tiles"} | storage}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_folder_is_opened_and_runs(tmp_path: Path) -> None:
    network = open_network(written(tmp_path), threads=1)
    assert network.kind == (*quantized_library.kinds(), "torch")[0]
    assert_same(network.run(network.prompt(), drawn(5)), expected(made(), drawn(5)))


def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no quantised network"):
        Checkpoint.open(tmp_path)
    with pytest.raises(ModelError, match="older version"):
        Checkpoint.open(written(tmp_path, layout="rows"))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    damaged = written(tmp_path) / "packed-1.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"packed-1\.safetensors is damaged"):
        Checkpoint.open(tmp_path)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    (written(tmp_path) / "packed-0.safetensors").unlink()
    with pytest.raises(ModelError, match="lacks the tensor"):
        open_network(tmp_path, threads=1)


@compiled
def test_neither_torch_nor_transformers_is_imported(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from dgemma_model.network.open_quantized import open_network;"
        f"network = open_network(Path({str(written(tmp_path))!r}), 1); network.run(network.prompt(), [1, 2]);"
        "print(network.kind, [name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split(maxsplit=1) == [quantized_library.kinds()[0], "[]\n"]


@pytest.mark.parametrize("wanted", ["torch", "plain", "abacus"])
def test_a_variable_chooses_what_runs(wanted: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(os.environ, quantized_library.VARIABLE, wanted)
    if wanted == "abacus" and quantized_library.library():
        with pytest.raises(ModelError, match="abacus"):
            open_network(written(tmp_path), threads=1)
    elif wanted in ("torch", *quantized_library.kinds()):
        assert open_network(written(tmp_path), threads=1).kind == wanted
