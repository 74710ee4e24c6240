"""What the encoder writes and how it judges, against one plain causal pass after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy
import pytest
import torch

from dgemma_model.copying import Copier, Document
from dgemma_model.errors import Cancelled
from dgemma_model.runner import Prompt
from dgemma_model.torch_runner import TorchRunner
from dgemma_model.writing import SHARES, Opening, Writer
from tests.model.tiny import TINY, network, tokenizer

TOKENIZER = tokenizer()
OWN = network(replace(TINY, vocab_size=TOKENIZER.vocab_size))
PREFIX, SUFFIX = TOKENIZER.encode("names = []\nfor name in"), TOKENIZER.encode("\nnames.sort()\n")
PROMPT = [TOKENIZER.bos_id, *SUFFIX, *PREFIX]
POSITIONS = [0, *range(64, 64 + len(SUFFIX)), *range(1, 1 + len(PREFIX))]
DOCUMENT = Document([TOKENIZER.encode("for name in names:\n    print(name)\n"), SUFFIX])
OPENING = Opening(len(PREFIX), Copier.behind(DOCUMENT, PREFIX), b"", single_line=False)
RUNNER = TorchRunner(OWN)


def kept() -> Prompt:
    prompt = RUNNER.prompt()
    RUNNER.store(prompt, torch.tensor(PROMPT), torch.tensor(POSITIONS))
    return prompt


def chances(text: list[int], opening: Opening) -> numpy.ndarray:
    """Of every token behind ``text``, with nothing kept from before; constraints left out."""
    ids = [*PROMPT, TOKENIZER.write_id, *text]
    positions = [*POSITIONS, *range(opening.at, opening.at + 1 + len(text))]
    states, _ = OWN.encode(torch.tensor([ids]), torch.tensor([positions]))
    mixed = OWN.logits(states[0, -1]).softmax(-1).numpy()
    copier = opening.copier
    for token in text:
        copier = copier.then(token)
    copy = copier.next()
    mixed = mixed * (1 - SHARES[copy.length])
    for token, weight in zip(copy.tokens, copy.weights, strict=True):
        mixed[token] += SHARES[copy.length] * weight
    mixed[[TOKENIZER.bos_id, TOKENIZER.pad_id, TOKENIZER.draft_id, TOKENIZER.write_id]] = 0
    return mixed


def test_writing_takes_the_likeliest_token_each_time() -> None:
    written = Writer(RUNNER, TOKENIZER).write(kept(), OPENING, 8, lambda: False)
    assert 0 < len(written) <= 8
    for index, token in enumerate(written):
        assert chances(written[:index], OPENING)[token] == pytest.approx(
            chances(written[:index], OPENING).max(), rel=1e-4
        )


def test_what_the_document_says_is_written_where_it_is_certain() -> None:
    certain = (*(0.0,) * 2, *(0.999,) * 15)
    written = Writer(RUNNER, TOKENIZER, certain).write(kept(), OPENING, 2, lambda: False)
    assert TOKENIZER.decode(written) == " names:"


def test_a_guess_is_as_likely_as_its_tokens_and_the_end_together() -> None:
    guesses = [[], TOKENIZER.encode(" x"), TOKENIZER.encode(" names:\n    print(name)")]
    for guess, likely in zip(guesses, Writer(RUNNER, TOKENIZER).judge(kept(), OPENING, guesses), strict=True):
        row = [*guess, TOKENIZER.end_id]
        plain = sum(numpy.log(chances(row[:n], OPENING)[token]) for n, token in enumerate(row))
        assert likely == pytest.approx(plain, rel=1e-3)


def test_a_region_of_a_single_line_ends_with_it() -> None:
    opening = replace(OPENING, single_line=True)
    writer = Writer(RUNNER, TOKENIZER)
    written = writer.write(kept(), opening, 40, lambda: False)
    assert b"\n" not in b"".join(map(TOKENIZER.token_bytes, written))
    two_lines, one_line = TOKENIZER.encode(" names:\n    x"), TOKENIZER.encode(" names:")
    impossible, possible = writer.judge(kept(), opening, [two_lines, one_line])
    assert impossible < -50 < possible


@pytest.mark.parametrize("begun", ["na", " na", " pri", "é", " xylo"])
def test_what_is_known_of_a_region_is_kept(begun: str) -> None:
    opening = replace(OPENING, begun=begun.encode())
    writer = Writer(RUNNER, TOKENIZER)
    written = writer.write(kept(), opening, 30, lambda: False)
    assert b"".join(map(TOKENIZER.token_bytes, written)).startswith(begun.encode())
    against, for_it = writer.judge(kept(), opening, [TOKENIZER.encode("(other"), written[:6]])
    assert against < -50
    assert for_it > against


def test_writing_can_be_cancelled_at_every_token_and_leaves_the_prompt_as_it_was() -> None:
    prompt, answers = kept(), iter([False, True])
    with pytest.raises(Cancelled):
        Writer(RUNNER, TOKENIZER).write(prompt, OPENING, 60, lambda: next(answers))
    assert prompt.length == len(PROMPT)
