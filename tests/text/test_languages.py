"""The table of languages: against the grammars, and by all the names of a language."""

from __future__ import annotations

import re

import pytest

from dgemma_lsp.text.languages import Language, find, is_one_of, languages
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.syntax import Excerpt, grammar

pytestmark = pytest.mark.timeout(60)

every_language = pytest.mark.parametrize("language", languages().values(), ids=languages())


def test_sixteen_languages_are_known() -> None:
    wanted = "python javascript typescript tsx go rust c cpp java ruby lua bash json yaml toml markdown"
    assert list(languages()) == wanted.split()


@every_language
def test_every_kind_in_the_table_is_one_of_the_grammars(language: Language) -> None:
    kinds = grammar(language.name)
    assert {kind for kind in language.kinds if kinds.id_for_node_kind(kind, True) is None} == set()


@every_language
def test_the_grammar_understands_the_queries(language: Language) -> None:
    excerpt = Excerpt("", (Region(0, 0),), language)
    assert list(excerpt.captures(language.holes)) == []
    assert list(excerpt.captures(language.kept)) == []


@every_language
def test_every_capture_is_one_that_is_read(language: Language) -> None:
    named = set(re.findall(r"@([a-z]\w*)", language.holes + language.kept))
    assert named <= {"hole", "kept"}


@every_language
def test_a_language_is_found_by_every_name_it_has(language: Language) -> None:
    assert {find(name) for name in (language.name, language.name.upper(), *language.ids)} == {language}
    assert {find(None, f"folder.x/name{extension}") for extension in language.extensions} == {language}


def test_no_two_languages_share_a_name() -> None:
    names = [name for one in languages().values() for name in {one.name, *one.ids, *one.extensions}]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("language", ["", "klingon", None])
def test_an_unknown_language_is_none(language: str | None) -> None:
    assert find(language) is None


def test_a_language_may_be_called_by_any_of_its_names() -> None:
    assert is_one_of("typescriptreact", ["python", "tsx"])
    assert is_one_of("Kotlin", ["kotlin"])
    assert not is_one_of("go", ["python"])
    assert is_one_of(None, ["plaintext"])
    assert not is_one_of(None, ["python"])
