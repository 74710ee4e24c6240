"""Copies, near copies, and copies of held-out code."""

from __future__ import annotations

import pytest

from dgemma_model.train.data import duplicates
from dgemma_model.train.data.duplicates import Deduplicator
from dgemma_model.train.data.filters import Drop
from dgemma_model.train.data.sources import Source
from tests.model.train.data.made_up import code


def test_a_copy_with_other_whitespace_is_a_duplicate() -> None:
    seen = Deduplicator()
    assert seen.check(code("a")) is None
    assert seen.check(code("a").replace("\n", "\n\n    ")) is Drop.DUPLICATE


def test_a_file_stitched_from_others_is_a_near_duplicate() -> None:
    seen = Deduplicator()
    assert seen.check(code("a")) is None
    assert seen.check(code("b")) is None
    assert seen.check(code("a", 20) + code("b", 20)) is Drop.NEAR_DUPLICATE
    assert seen.check(code("a", 10) + code("c", 20)) is None


def scattered(changed: int, lines: int = 120) -> str:
    """A file of which every ``changed``-th line is another one."""
    return "".join(
        f"value_{i} = call_{i}(first, {'other' if i % changed == 0 else 'second'}_{i})\n"
        for i in range(lines)
    )


def test_a_file_with_changes_everywhere_is_found_by_minhash() -> None:
    """Hardly any five lines are the same in both."""
    seen = Deduplicator()
    assert seen.check(scattered(1000)) is None
    assert (
        duplicates.share_in(
            duplicates.line_windows(scattered(5), 5), duplicates.line_windows(scattered(1000), 5)
        )
        < 0.1
    )
    assert seen.check(scattered(5)) is Drop.NEAR_DUPLICATE
    assert seen.check(code("a", 120)) is None


def test_a_signature_estimates_how_much_two_files_have_in_common() -> None:
    one = [f"word{i}" for i in range(3000)]
    other = one[:2000] + [f"else{i}" for i in range(1000)]  # 2,000 of 4,000 shingles
    estimate = (duplicates.sign(" ".join(one)) == duplicates.sign(" ".join(other))).mean()
    assert estimate == pytest.approx(0.5, abs=0.2)
    assert (duplicates.sign("") == duplicates.sign("x")).mean() < 1


def test_a_dropped_file_is_not_remembered() -> None:
    seen = Deduplicator([Source("held", "h.py", code("h"))])
    assert seen.check(code("h", 25) + code("new", 10)) is Drop.LEAK
    assert seen.check(code("new", 10)) is None


def test_held_out_code_does_not_get_into_train() -> None:
    seen = Deduplicator([Source("held", "h.py", code("h"))])
    assert seen.check(code("h")) is Drop.LEAK
    assert seen.check(code("h", 20) + code("own", 20)) is Drop.LEAK
    assert seen.check(code("h", 9) + code("own", 40)) is None
    assert seen.check(code("h", 10) + code("other", 400)) is Drop.LEAK


def test_a_licence_in_comments_is_no_held_out_code() -> None:
    licence = "".join(f"# line {i} of a licence\n" for i in range(20))
    seen = Deduplicator([Source("held", "h.py", licence + code("h"))])
    assert seen.check(licence + code("own", 40)) is None


def test_a_file_like_a_held_out_one_does_not_get_into_train() -> None:
    assert Deduplicator([Source("held", "h.py", scattered(1000))]).check(scattered(5)) is Drop.LEAK


def test_files_without_code_lines_can_be_compared() -> None:
    assert duplicates.share_in(duplicates.line_windows("", 5), duplicates.line_windows("\n123\n", 5)) == 1.0
