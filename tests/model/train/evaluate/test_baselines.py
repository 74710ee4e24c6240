"""Baselines answer without a network, and never more than fits in front of the rest of the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgemma_model.train.evaluate.baselines import (
    baselines,
    corpus_texts,
    draft_alone,
    empty,
    most_similar_line,
)
from dgemma_model.train.evaluate.cases import Case, Kind, draw
from tests.model.tiny import tokenizer
from tests.model.train.evaluate.held_out import PACKAGES, SOURCE, write


def case(marked: str) -> Case:
    before, inside = marked.split("«")
    truth, after = inside.split("»")
    return Case(Kind.REST_OF_LINE, "p", before + truth + after, ((len(before), len(before) + len(truth)),))


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        ("self.x = 1\nself.y = 2\nself.x = «3»\n", "1"),
        ("call(first, second)\ncall(«third»)\n", "first, second"),
        ("«alone»\n", ""),
    ],
)
def test_the_most_similar_line_goes_on_up_to_what_stands_behind(marked: str, wanted: str) -> None:
    assert most_similar_line(case(marked)) == [wanted]


def test_the_draft_alone_is_empty_where_there_is_none() -> None:
    assert draft_alone(case("alpha\nbeta\nzzzzz«y»\n")) == [""]
    assert draft_alone(case("self.x = 1\nself.x = «2»\n")) == ["1"]


def test_bigrams_write_what_follows_most_often_until_the_line_ends() -> None:
    bigrams = baselines(tokenizer(), ["import os\n" * 9])["bigram back-off"]
    assert bigrams(case("import« x»\n")) == [" os"]
    assert bigrams(case("import« x»os\n")) == [" "]


def test_every_baseline_answers_every_region() -> None:
    for answer in baselines(tokenizer(), [SOURCE]).values():
        for each in draw(PACKAGES, Kind.FOUR_REGIONS, 4):
            assert len(answer(each)) == 4


def test_nothing_is_an_answer_too() -> None:
    assert empty(case("a«b»c\n")) == [""]


def test_training_texts_end_with_the_amount(tmp_path: Path) -> None:
    corpus = write(tmp_path) / "train.jsonl"
    assert list(corpus_texts(corpus, 1.0)) == [SOURCE, SOURCE[:700]]
    assert list(corpus_texts(corpus, 0.0005)) == [SOURCE]
