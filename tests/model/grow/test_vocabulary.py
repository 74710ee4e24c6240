"""Smaller vocabularies lose no text, keep what their tokens are merged from, and end in `<mask>`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from dgemma_model.errors import ModelError
from dgemma_model.grow import ranking, vocabulary
from dgemma_model.grow.source import Special
from dgemma_model.grow.vocabulary import Merges, Vocabulary
from tests.model.grow.networks import TEXT, tokenizer

SOURCE: Any = tokenizer().to_str()


def source() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(SOURCE)
    return content


def trimmed(size: int, text: str = TEXT) -> Vocabulary:
    words = source()
    ids = vocabulary.most_useful(words, size, ranking.by_count(ranking.count(words, [text])))
    end = tokenizer().token_to_id("<|end|>")
    return vocabulary.keep(words, ids, Special(None, (end,), end))


def load(small: Vocabulary) -> Tokenizer:
    loaded = Tokenizer.from_str(json.dumps(small.tokenizer))
    loaded.encode_special_tokens = True
    return loaded


SMALL = load(trimmed(280))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_is_lost(text: str) -> None:
    assert SMALL.decode(SMALL.encode(text).ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("text", ["<mask>", "a<|end|>b", "e\u0301 != \u00e9", "\r\n\t\0"])
def test_names_of_special_tokens_and_decomposed_letters_are_text(text: str) -> None:
    ids = SMALL.encode(text).ids
    assert SMALL.decode(ids) == text
    assert max(ids) < SMALL.token_to_id("<|start|>")


@pytest.mark.parametrize("size", [259, 264, 280, 300])
def test_the_size_is_the_one_asked_for_and_mask_is_the_last(size: int) -> None:
    small = trimmed(size)
    assert (load(small).get_vocab_size(), small.mask) == (size, size - 1)
    assert load(small).token_to_id("<mask>") == size - 1


def test_every_token_can_be_merged() -> None:
    line = "def add(first, second):"
    small = trimmed(300, line)
    words = load(small)
    ordinary = [token for token in small.tokenizer["model"]["vocab"] if len(token) > 1]
    assert ordinary
    from_merges = {left + right for left, right in small.tokenizer["model"]["merges"]}
    assert set(ordinary) <= from_merges
    assert words.encode(line).tokens == tokenizer().encode(line).tokens


def test_frequent_tokens_stay_and_rare_ones_go() -> None:
    small = trimmed(266, text="first " * 50 + "books")
    assert "first" in small.tokenizer["model"]["vocab"]
    assert "books" not in small.tokenizer["model"]["vocab"]


def test_rows_are_the_old_ids_of_the_new_tokens() -> None:
    small = trimmed(280)
    old, new = tokenizer(), load(small)
    assert [old.id_to_token(int(row)) for row in small.kept] == [new.id_to_token(i) for i in range(279)]


def test_special_tokens_get_their_new_numbers() -> None:
    small = trimmed(280)
    assert small.special.ends == (load(small).token_to_id("<|end|>"),)
    assert all(token["special"] for token in small.tokenizer["added_tokens"])


def test_a_post_processor_names_the_new_numbers() -> None:
    words = source()
    start = tokenizer().token_to_id("<|start|>")
    words["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<|start|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<|start|>": {"id": "<|start|>", "ids": [start], "tokens": ["<|start|>"]}},
    }
    kept = vocabulary.most_useful(words, 270, range(400))
    small = Tokenizer.from_str(json.dumps(vocabulary.keep(words, kept, Special(None, (), None)).tokenizer))
    assert small.encode("a").ids[0] == small.token_to_id("<|start|>") != start


def test_everything_drops_only_rows_without_a_token() -> None:
    assert len(vocabulary.everything(source())) == tokenizer().get_vocab_size()


def test_a_list_of_tokens_survives_being_written() -> None:
    steps = [[5, 3, 900], [4, 70_000]]
    head, *lines = ranking.write_list(source(), steps).splitlines()
    assert head == ranking.fingerprint(source())
    assert [list(ranking._unpacked(line)) for line in lines] == [[3, 5, 900], [4, 70_000]]


def test_merges_written_as_strings_are_the_same_tokenizer() -> None:
    words = source()
    words["model"]["merges"] = [" ".join(merge) for merge in words["model"]["merges"]]
    assert ranking.fingerprint(words) == ranking.fingerprint(source())
    assert Merges(words).pairs == Merges(source()).pairs


def test_too_small_and_too_large_sizes_are_refused() -> None:
    with pytest.raises(ModelError, match="needs at least 259 tokens here; --vocabulary 200 is too small"):
        trimmed(200)
    with pytest.raises(ModelError, match="has only 317 tokens; leave out --vocabulary"):
        trimmed(50_000)


def test_other_tokenizers_are_refused() -> None:
    with pytest.raises(ModelError, match="byte-level BPE"):
        Merges({"model": {"type": "Unigram"}, "added_tokens": []})


def test_a_tokenizer_with_a_mask_of_its_own_is_refused() -> None:
    words = source()
    words["added_tokens"].append({"id": 999, "content": "<mask>"})
    with pytest.raises(ModelError, match="<mask> of its own"):
        vocabulary.keep(words, np.arange(300), Special(None, (), None))
