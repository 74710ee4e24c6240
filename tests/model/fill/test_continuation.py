"""Filling with a grown checkpoint: small, random, but made and loaded the way a real one is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from dgemma_model.base_tokenizer import BaseTokenizer
from dgemma_model.errors import Cancelled, ModelError
from dgemma_model.fill import filler
from dgemma_model.fill.continuation import Continuation
from dgemma_model.fill.kept_prompts import Kept, KeptPrompts
from dgemma_model.fill.line_ends import Tree, likelihoods
from dgemma_model.fill.writer import Start, Writer, Written
from dgemma_model.grow import command
from dgemma_model.layouts.suffix_first import LAYOUT_KEY, MIDDLE, PREFIX, SUFFIX
from dgemma_model.network.open_quantized import open_network
from dgemma_model.network.quantized import QuantizedNetwork
from dgemma_model.network.quantized_library import library
from dgemma_model.protocol import Draft, FillOptions, FillRequest, ProofreadRequest
from tests.model.grow import networks

SIZES = {"hidden_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2}
BEFORE, BEHIND = "def add(first, second):\n    return ", "\n\n\nclass Shelf:\n    pass\n"


def words(*marks: str) -> Tokenizer:
    made = networks.tokenizer()
    made.add_special_tokens(list(marks))
    return made


def grown(folder: Path, *marks: str) -> Path:
    source = networks.save(
        networks.qwen2(**SIZES, vocab_size=words(*marks).get_vocab_size()), folder / "source"
    )
    words(*marks).save(str(source / "tokenizer.json"))
    assert command.main([str(source), "--out", str(folder / "grown")]) == 0
    return folder / "grown"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grown(tmp_path_factory.mktemp("tiny"), PREFIX, SUFFIX, MIDDLE)


@pytest.fixture(scope="module")
def network(folder: Path) -> QuantizedNetwork:
    return open_network(folder, threads=1)


@pytest.fixture(scope="module")
def tokenizer(folder: Path, network: QuantizedNetwork) -> BaseTokenizer:
    return BaseTokenizer.from_file(folder / "tokenizer.json", network.shape.vocabulary)


@pytest.fixture
def continuation(folder: Path) -> Continuation:
    return Continuation.load(folder, threads=1)


def asked(*segments: str, **options: int | bool) -> FillRequest:
    return FillRequest(segments, ("",) * (len(segments) - 1), FillOptions(**options))


def drafts(continuation: Continuation, request: FillRequest) -> list[Draft]:
    return list(continuation.drafts(request, lambda: False))


def written(
    network: QuantizedNetwork, tokenizer: BaseTokenizer, guess: Sequence[str] = (), start: str = ""
) -> tuple[Written, int]:
    """What is written behind a prompt, with the same guess before every pass, and in how many passes."""
    kept, state, _ = KeptPrompts(network).compute(tokenizer.encode(BEFORE))
    left = Start(state, start)
    passes = list(Writer(network, tokenizer).write(kept, left, lambda done: rest(guess, done), never, 24))
    return passes[-1], len(passes)


def rest(texts: Sequence[str], done: str) -> list[str]:
    return [text[len(done) :] for text in texts if text.startswith(done)]


def never(text: str) -> int | None:
    return None


# The checkpoint


def test_growing_names_the_layout_and_the_port_loads_it(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config[LAYOUT_KEY]["prefix"] > config[LAYOUT_KEY]["suffix"] > 0
    info = filler.load_filler(folder).info
    assert (info.device, info.dtype) == ("cpu", "int4")
    assert not info.capabilities.follows_instructions
    assert not info.capabilities.proofreads
    assert info.capabilities.languages == ()


def test_a_base_that_cannot_fill_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="was not trained to fill regions"):
        filler.load_filler(grown(tmp_path))


def test_what_it_cannot_do_is_said(continuation: Continuation, folder: Path) -> None:
    with pytest.raises(ModelError, match="cannot proofread"):
        next(iter(continuation.hints(ProofreadRequest("a", (), ((0, 1),)), lambda: False)))
    with pytest.raises(ModelError, match="device cpu only"):
        Continuation.load(folder, "mps")


@pytest.mark.skipif(library() is None, reason="nothing was compiled")
def test_torch_is_not_imported_where_compiled_code_runs(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from dgemma_model.worker import load;"
        f"load({str(folder)!r}, 'cpu', 1).warm_up(); print({{'torch', 'transformers'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# Writing


def greedy(network: QuantizedNetwork, tokenizer: BaseTokenizer, count: int) -> list[int]:
    """The likeliest tokens, each after a prompt that is computed anew."""
    ids = tokenizer.encode(BEFORE)
    begin = len(ids)
    while len(ids) < begin + count:
        states = network.extend(network.prompt(), ids, last=1)
        ids.append(int(network.scores(states)[0].argmax()))
    return ids[begin:]


def test_what_is_written_is_what_the_network_holds_likeliest(
    network: QuantizedNetwork, tokenizer: BaseTokenizer
) -> None:
    text, _ = written(network, tokenizer)
    assert text.ids
    assert text.ids == greedy(network, tokenizer, len(text.ids))


def test_guesses_save_passes_and_change_nothing(network: QuantizedNetwork, tokenizer: BaseTokenizer) -> None:
    plain, slow = written(network, tokenizer)
    right, fast = written(network, tokenizer, [plain.text])
    wrong, _ = written(network, tokenizer, [plain.text[:3] + " wrong"])
    assert plain.ids == right.ids == wrong.ids
    assert right.likelihoods == pytest.approx(plain.likelihoods, abs=1e-3)
    assert fast < slow


@pytest.mark.parametrize("stem", [" retu", "é", "    fir", "s"])
def test_a_text_begins_with_its_stem(network: QuantizedNetwork, tokenizer: BaseTokenizer, stem: str) -> None:
    text, _ = written(network, tokenizer, start=stem)
    assert text.text.startswith(stem)
    assert len(text.text) > len(stem)


def test_the_likelihoods_of_a_tree_are_those_of_its_texts(
    network: QuantizedNetwork, tokenizer: BaseTokenizer
) -> None:
    texts = ["first + second\n", "first + 1\n", "second\n"]
    tree = Tree()
    for text in texts:
        tree.add(tokenizer.encode(text))
    kept, state, _ = KeptPrompts(network).compute(tokenizer.encode(BEFORE))
    expected = [likelihood(network, tokenizer.encode(BEFORE), tokenizer.encode(text)) for text in texts]
    assert likelihoods(network, kept, state, tree) == pytest.approx(expected, abs=0.05)
    assert kept.prompt.length == len(kept.ids)


def likelihood(network: QuantizedNetwork, before: list[int], ids: list[int]) -> float:
    states = network.extend(network.prompt(), before + ids, last=len(ids) + 1)[:-1]
    found = network.rank(states, asked=np.array(ids, np.int32)[:, None]).asked_likelihood
    return float(found.sum())


def test_a_prompt_is_computed_only_where_it_differs(network: QuantizedNetwork) -> None:
    prompts = KeptPrompts(network, prompts=2)
    counts = []
    for ids in ([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 9], [7, 8], [1, 2, 9, 5]):
        kept, state, new = prompts.compute(ids)
        counts.append(new)
        assert kept.ids == ids
        assert state == pytest.approx(network.extend(network.prompt(), ids, last=1), abs=0.05)
    assert counts == [4, 1, 1, 2, 1]


def test_a_copied_prompt_leaves_the_other_one_as_it_was(network: QuantizedNetwork) -> None:
    prompts = KeptPrompts(network, prompts=2)
    long = list(range(3, 90))
    first: Kept = prompts.compute(long)[0]
    second = prompts.compute([*long[:10], 1])[0]
    assert first is not second
    assert first.ids == long
    assert prompts.compute(long)[2] == 1


# Requests


@pytest.mark.parametrize(
    "request_",
    [
        asked(BEFORE, BEHIND, single_line=True),
        asked(BEFORE, BEHIND),
        asked("print(", ")\n", alternatives=3),
        asked("x = ", "\ny = ", "\n", single_line=True),
        asked("f(", ", ", ")\n"),
    ],
)
def test_the_last_draft_fills_every_region(continuation: Continuation, request_: FillRequest) -> None:
    *early, last = drafts(continuation, request_)
    assert [draft.step for draft in (*early, last)] == list(range(1, len(early) + 2))
    assert last.final
    assert not any(draft.final for draft in early)
    for fills in last.alternatives:
        assert len(fills) == len(request_.present)
        assert all(0 <= fill.confidence <= 1 for fill in fills)
    assert len({fills[0].text for fills in last.alternatives}) == len(last.alternatives)
    assert len(last.alternatives) <= request_.options.alternatives


@pytest.mark.parametrize("request_", [asked(BEFORE, BEHIND, single_line=True), asked("print(", ")\n")])
def test_a_fill_at_or_before_the_end_of_a_line_has_one_line(
    continuation: Continuation, request_: FillRequest
) -> None:
    for draft in drafts(continuation, request_):
        assert "\n" not in draft.alternatives[0][0].text


def test_whole_lines_are_replaced_by_whole_lines(continuation: Continuation) -> None:
    request = replace(asked("a = 1\n", "b = 2\n"), present=("old\n",))
    assert drafts(continuation, request)[-1].alternatives[0][0].text.endswith("\n")


def test_an_empty_line_gets_some_text(continuation: Continuation) -> None:
    fill = drafts(continuation, asked("a = 1\n", "\nb = 2\n", single_line=True))[-1].alternatives[0][0]
    assert fill.text.strip()


def test_the_same_request_finds_its_prompt_computed(continuation: Continuation) -> None:
    request = asked(BEFORE, BEHIND, single_line=True)
    first, second = drafts(continuation, request)[-1], drafts(continuation, request)[-1]
    assert first.encoded_tokens == first.prompt_tokens > 1
    assert second.encoded_tokens == 1
    assert [fill.text for fill in first.alternatives[0]] == [fill.text for fill in second.alternatives[0]]


def test_an_accepted_fill_finds_its_prompt_computed(continuation: Continuation) -> None:
    request = asked(BEFORE, BEHIND, single_line=True)
    fill = drafts(continuation, request)[-1].alternatives[0][0]
    continuation.anticipate(request, lambda: True)
    accepted = asked(BEFORE + fill.text, BEHIND, single_line=True)
    assert drafts(continuation, accepted)[-1].encoded_tokens == 1


def test_nothing_is_anticipated_while_somebody_waits(
    continuation: Continuation, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(BEFORE, BEHIND, single_line=True)
    drafts(continuation, request)
    computed: list[Sequence[int]] = []
    monkeypatch.setattr(KeptPrompts, "compute", lambda self, ids: computed.append(ids))
    continuation.anticipate(request, lambda: False)
    assert computed == []
    continuation.anticipate(request, lambda: True)
    assert len(computed) == 1


def test_a_fill_is_cancelled_between_two_passes(continuation: Continuation) -> None:
    seen: list[Draft] = []
    asking = continuation.drafts(asked(BEFORE, BEHIND, single_line=True), lambda: bool(seen))
    seen.append(next(asking))
    assert not seen[0].final
    with pytest.raises(Cancelled):
        next(asking)
