"""Held-out cases: each kind cuts what its name says, and the same for every checkpoint."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from dgemma_model.errors import ModelError
from dgemma_model.train.evaluate.cases import Case, Kind, Syntax, draw, halves, read_files
from tests.model.train.evaluate.held_out import PACKAGES, SOURCE, write

DRAWN_BY_THE_FIRST_CHECKPOINT = {
    Kind.REST_OF_LINE: [((313, 327),), ((710, 727),), ((14, 31),), ((308, 327),)],
    Kind.WHOLE_LINE: [((236, 285),), ((831, 906),), ((106, 140),), ((524, 587),)],
    Kind.TWO_REGIONS: [
        ((203, 230), (348, 365)),
        ((755, 785), (917, 939)),
        ((414, 429), (547, 587)),
        ((509, 515), (664, 727)),
    ],
}


def drawn(kind: Kind, count: int = 40) -> list[Case]:
    return list(draw(PACKAGES, kind, count))


@pytest.mark.parametrize("kind", DRAWN_BY_THE_FIRST_CHECKPOINT)
def test_old_and_new_checkpoints_are_asked_the_same(kind: Kind) -> None:
    assert [case.spans for case in drawn(kind, 4)] == DRAWN_BY_THE_FIRST_CHECKPOINT[kind]


@pytest.mark.parametrize("kind", Kind)
def test_packages_take_turns_and_no_truth_is_blank_or_long(kind: Kind) -> None:
    cases = drawn(kind)
    assert [case.package for case in cases] == ["a", "b"] * 20
    for case in cases:
        assert all(truth.strip() for truth in case.truths)
        assert max(map(len, case.truths)) <= (300 if kind is Kind.BLOCK else 120)


@pytest.mark.parametrize("kind", Kind)
def test_the_truths_in_the_masked_text_give_the_text(kind: Kind) -> None:
    for case in drawn(kind):
        assert case.filled(case.truths) == case.text
        assert len(case.masked.segments) == len(case.truths) + 1


@pytest.mark.parametrize("kind", Kind)
def test_a_longer_draw_begins_like_a_shorter_one_and_another_seed_does_not(kind: Kind) -> None:
    assert drawn(kind, 20)[:5] == drawn(kind, 5)
    assert list(draw(PACKAGES, kind, 20, seed=1)) != drawn(kind, 20)


def test_an_expression_is_one() -> None:
    assert all(isinstance(ast.parse(f"({text})").body[0], ast.Expr) for text in truths(Kind.EXPRESSION))


def test_the_left_side_of_an_assignment_is_no_expression() -> None:
    assert "self.articles" not in {
        case.truths[0] for case in drawn(Kind.EXPRESSION, 200) if case.text[case.spans[0][1] :][:3] == " = "
    }


def test_an_argument_list_fills_the_parentheses_of_a_call() -> None:
    for case in drawn(Kind.ARGUMENT_LIST):
        ((start, end),) = case.spans
        assert (case.text[start - 1], case.text[end]) == ("(", ")")
        assert isinstance(ast.parse(f"f({case.truths[0]})").body[0].value, ast.Call)  # type: ignore[attr-defined]


def test_a_statement_is_one_also_over_several_lines_and_never_prose() -> None:
    found = truths(Kind.STATEMENT, 200)
    for text in found:
        (statement,) = ast.parse(f"def f():\n {text}").body[0].body  # type: ignore[attr-defined]
        assert isinstance(statement, ast.stmt)
        assert not text.startswith('"')
    assert any("\n" in text for text in found)


def test_a_block_is_two_to_five_lines_to_the_end_of_the_last() -> None:
    for case in drawn(Kind.BLOCK):
        ((start, end),) = case.spans
        assert 2 <= len(case.truths[0].split("\n")) <= 5
        assert case.text[end : end + 1] in {"\n", ""}
        assert not case.text[case.text.rfind("\n", 0, start) + 1 : start].strip()


def test_the_cursor_stands_inside_an_identifier_and_the_rest_of_the_line_is_cut() -> None:
    for case in drawn(Kind.MID_IDENTIFIER):
        ((start, end),) = case.spans
        assert (case.text[start - 1] + case.text[start]).isidentifier()
        assert case.text[end] == "\n"


def test_four_regions_are_ends_of_different_lines_near_each_other() -> None:
    for case in drawn(Kind.FOUR_REGIONS):
        lines = [case.text.count("\n", 0, start) for start, _ in case.spans]
        assert len(set(lines)) == 4
        assert lines == sorted(lines)
        assert lines[-1] - lines[0] < 60
        assert all(case.text[end : end + 1] in {"\n", ""} for _, end in case.spans)


def test_a_package_without_a_region_of_a_kind_is_named() -> None:
    with pytest.raises(ModelError, match="package p has no region of the kind “argument list”"):
        next(draw({"p": ["x = 1\n"]}, Kind.ARGUMENT_LIST, 1))


def test_offsets_are_characters_where_bytes_differ() -> None:
    text = 's = "€€€"\ncall(argument)\n'
    syntax = Syntax(text)
    start, end = syntax.span(next(syntax.around(text.index("gument"))))
    assert text[start:end] == "argument"


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("f(1)\n", 0),
        (SOURCE, 0),
        ("f(1\n", 1),
        ("x = = 1\n", 1),
        ("x = = 1\ny = = 2\n", 2),
        ('"\ud800"\n', 0),
    ],
)
def test_syntax_errors_are_counted(text: str, errors: int) -> None:
    assert Syntax(text).errors() == errors


def test_a_corpus_is_read_by_package_and_split_into_halves(tmp_path: Path) -> None:
    files = read_files(write(tmp_path) / "held_out.jsonl")
    assert files == PACKAGES
    assert halves(files) == ({"a": PACKAGES["a"]}, {"b": PACKAGES["b"]})


def truths(kind: Kind, count: int = 40) -> set[str]:
    return {case.truths[0] for case in drawn(kind, count)}
