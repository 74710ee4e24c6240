"""Masked documents, and where their regions begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.errors import ModelError
from dgemma_model.layouts.masked import MaskedText, stem


def test_a_region_begins_where_its_first_token_begins() -> None:
    cases = {
        "def f(self) -> s": " s",
        "    ": "",
        "    retu": "retu",
        "return ": " ",
        "x = foo(": "(",
        "a.b.c": "c",
        "x = [1,  ": "",
        "f(x))": "))",
        "": "",
        "\n": "",
        "x = 'été": "été",
        "a" * 50: "",
    }
    assert {text: stem(text) for text in cases} == cases


@given(st.lists(st.text("ab .(\n", max_size=12), min_size=2, max_size=4))
def test_healing_moves_text_into_the_regions_and_loses_none(segments: list[str]) -> None:
    healed = MaskedText(tuple(segments), ("",) * (len(segments) - 1)).healed()
    joined = [text + start for text, start in zip(healed.segments, (*healed.stems, ""), strict=True)]
    assert joined == segments


def test_segments_must_surround_the_regions() -> None:
    with pytest.raises(ModelError, match="need 2 segments"):
        MaskedText(("a",), ("b",))
