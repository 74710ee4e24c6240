"""What the encoder writes and how it judges, against one plain causal pass after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy
import pytest
import torch

from dgemma_model.errors import Cancelled
from dgemma_model.guess.encoder import Encoder, Opening
from dgemma_model.guess.mixture import Evidence, Mixture
from dgemma_model.guess.ngrams import Counts, NGrams, hashes
from dgemma_model.guess.token_copies import Copier, Document, packed
from dgemma_model.network.runner import Prompt
from dgemma_model.network.torch_runner import TorchRunner
from tests.model.tiny import TINY, network, tokenizer

TOKENIZER = tokenizer()
OWN = network(replace(TINY, vocab_size=TOKENIZER.vocab_size))
PREFIX, SUFFIX = TOKENIZER.encode("names = []\nfor name in"), TOKENIZER.encode("\nnames.sort()\n")
PROMPT = [TOKENIZER.bos_id, *SUFFIX, *PREFIX]
POSITIONS = [0, *range(64, 64 + len(SUFFIX)), *range(1, 1 + len(PREFIX))]
DOCUMENT = Document(map(packed, (TOKENIZER.encode("for name in names:\n    print(name)\n"), SUFFIX)))
OPENING = Opening(len(PREFIX), Copier.behind(DOCUMENT, PREFIX), b"", single_line=False, context=tuple(PREFIX))
RUNNER = TorchRunner(OWN)


MIXTURE = Mixture((-1.0, 0.0, 1.0, 0.0, -0.5, 0.5), (-0.5, 0.0, -0.5, 1.0, -0.5, 0.5))


def counts() -> NGrams:
    """Behind " in" comes " names" or a new line, for all that is known."""
    behind, followers = TOKENIZER.encode(" in"), sorted(TOKENIZER.encode(" names") + TOKENIZER.encode("\n"))
    assert len(behind) == 1
    assert len(followers) == 2
    size = TOKENIZER.vocab_size
    return NGrams(
        Counts(
            numpy.full(size, 1 / size, dtype=numpy.float32),
            numpy.array(hashes(behind), dtype=numpy.uint32),
            numpy.array([0, 2], dtype=numpy.uint32),
            numpy.array([23], dtype=numpy.uint8),  # 0.32
            numpy.array(followers, dtype=numpy.uint16),
            numpy.array([14, 32], dtype=numpy.uint8),  # 0.50 and 0.20
        )
    )


NGRAMS = counts()


def encoder() -> Encoder:
    return Encoder(RUNNER, TOKENIZER, MIXTURE, NGRAMS)


def kept() -> Prompt:
    prompt = RUNNER.prompt()
    RUNNER.store(prompt, torch.tensor(PROMPT), torch.tensor(POSITIONS))
    return prompt


def chances(text: list[int], opening: Opening) -> numpy.ndarray:
    """Of every token behind ``text``, with nothing kept from before; constraints left out."""
    ids = [*PROMPT, TOKENIZER.write_id, *text]
    positions = [*POSITIONS, *range(opening.position, opening.position + 1 + len(text))]
    states, _ = OWN.encode(torch.tensor([ids]), torch.tensor([positions]))
    network = OWN.logits(states[0, -1]).softmax(-1).numpy()
    copier, context = opening.copier, [*opening.context, *text]
    for token in text:
        copier = copier.then(token)
    copy, expected = copier.next(), NGRAMS.next(context)
    evidence = Evidence(copy.length, expected.order, float(network.max()), float(copy.weights.max(initial=0)))
    shares = MIXTURE(evidence)
    end = network[TOKENIZER.end_id]
    mixed = shares.network * network + shares.counting * (1 - end) * expected.table()
    mixed[TOKENIZER.end_id] += shares.counting * end
    for token, weight in zip(copy.tokens, copy.weights, strict=True):
        mixed[token] += shares.copying * weight
    mixed[[TOKENIZER.bos_id, TOKENIZER.pad_id, TOKENIZER.draft_id, TOKENIZER.write_id]] = 0
    return mixed


def test_writing_takes_the_likeliest_token_each_time() -> None:
    written = encoder().write(kept(), OPENING, 8, lambda: False)
    assert 0 < len(written) <= 8
    for index, token in enumerate(written):
        assert chances(written[:index], OPENING)[token] == pytest.approx(
            chances(written[:index], OPENING).max(), rel=1e-4
        )


def test_what_the_document_says_is_written_where_it_is_certain() -> None:
    certain = Mixture((-6.0, 0.0, 12.0, 0.0, 0.0, 0.0))
    written = Encoder(RUNNER, TOKENIZER, certain).write(kept(), OPENING, 2, lambda: False)
    assert TOKENIZER.decode(written) == " names:"


def test_a_guess_is_as_likely_as_its_tokens_and_the_end_together() -> None:
    guesses = [[], TOKENIZER.encode(" x"), TOKENIZER.encode(" names:\n    print(name)")]
    for guess, likely in zip(guesses, encoder().log_likelihoods(kept(), OPENING, guesses), strict=True):
        row = [*guess, TOKENIZER.end_id]
        plain = sum(numpy.log(chances(row[:n], OPENING)[token]) for n, token in enumerate(row))
        assert likely == pytest.approx(plain, rel=1e-3)


def test_a_region_of_a_single_line_ends_with_it() -> None:
    opening = replace(OPENING, single_line=True)
    own = encoder()
    written = own.write(kept(), opening, 40, lambda: False)
    assert b"\n" not in b"".join(map(TOKENIZER.token_bytes, written))
    two_lines, one_line = TOKENIZER.encode(" names:\n    x"), TOKENIZER.encode(" names:")
    impossible, possible = own.log_likelihoods(kept(), opening, [two_lines, one_line])
    assert impossible < -50 < possible


@pytest.mark.parametrize("begun", ["na", " na", " pri", "é", " xylo"])
def test_what_is_known_of_a_region_is_kept(begun: str) -> None:
    opening = replace(OPENING, stem=begun.encode())
    own = encoder()
    written = own.write(kept(), opening, 30, lambda: False)
    assert b"".join(map(TOKENIZER.token_bytes, written)).startswith(begun.encode())
    against, for_it = own.log_likelihoods(kept(), opening, [TOKENIZER.encode("(other"), written[:6]])
    assert against < -50
    assert for_it > against


def test_writing_can_be_cancelled_at_every_token_and_leaves_the_prompt_as_it_was() -> None:
    prompt, answers = kept(), iter([False, True])
    with pytest.raises(Cancelled):
        encoder().write(prompt, OPENING, 60, lambda: next(answers))
    assert prompt.length == len(PROMPT)


@pytest.mark.parametrize("single_line", [True, False])
@pytest.mark.parametrize("begun", ["", " na"])
def test_network_document_and_corpus_are_compared_as_they_are_mixed(single_line: bool, begun: str) -> None:
    """A guess of one token, judged from the parts of `compare`, has the likelihood that `judge` gives it."""
    opening = replace(OPENING, single_line=single_line)
    text = TOKENIZER.encode(" names")
    parts = encoder().compare(kept(), opening, text)
    total = sum(numpy.log(MIXTURE(part.evidence).dot(part.probabilities)) for part in parts)
    (judged,) = encoder().log_likelihoods(kept(), replace(opening, stem=begun.encode()), [text])
    if begun:
        assert judged > total
    else:
        assert judged == pytest.approx(total, rel=1e-4)
