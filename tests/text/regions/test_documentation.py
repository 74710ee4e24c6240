"""The documentation and the body («») of the function around a cursor (ˇ)."""

from __future__ import annotations

import pytest

from dgemma_lsp.text.regions.documentation import docstring_and_body
from dgemma_lsp.text.regions.frame import framed
from dgemma_lsp.text.source_code import SourceCode
from tests.text.regions.marked import parts, with_regions

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("language", "marked", "wanted"),
    [
        pytest.param("python", "def f():\n    ˇa()\n", 'def f():\n    """«»"""\n    «a()»\n', id="none yet"),
        pytest.param(
            "python",
            "def f():\n    '''Old.'''\n    ˇa()\n",
            "def f():\n    '''«Old.»'''\n    «a()»\n",
            id="there is one",
        ),
        pytest.param(
            "python", "def f():\n    '''Old.'''ˇ\n", "def f():\n    '''«Old.»'''\n    «»\n", id="only one"
        ),
        pytest.param("python", "def f():\n    ˇ\n", 'def f():\n    """«»"""\n    «»\n', id="an empty body"),
        pytest.param(
            "python", "\tdef f(): ˇ...\n", '\tdef f(): \n\t\t"""«»"""\n\t\t«...»\n', id="in one line"
        ),
        pytest.param("python", "def f():\r\n  ˇa()\r\n", 'def f():\r\n  """«»"""\r\n  «a()»\r\n', id="CRLF"),
        pytest.param("python", "x = ˇ1\n", None, id="no function"),
        pytest.param("python", "class A:\n    x = ˇ1\n", None, id="a class"),
        pytest.param(
            "java",
            "class A {\n  int f() { ˇ }\n}\n",
            "class A {\n  /** «» */\n  int f() { «» }\n}\n",
            id="Java",
        ),
        pytest.param("rust", "fn f() { ˇa() }\n", "/// «»\nfn f() { «a()» }\n", id="Rust"),
        pytest.param("rust", "/// Old.\nfn f() { ˇa() }\n", None, id="there is a comment above"),
        pytest.param("json", '{"a": ˇ1}\n', None, id="a language without functions"),
    ],
)
def test_documentation_and_body_are_two_regions(language: str, marked: str, wanted: str | None) -> None:
    text, cursor = parts(marked)
    found = docstring_and_body(SourceCode(text, language), cursor)
    if not found:
        assert wanted is None
        return
    after, regions = framed(text, found)
    assert with_regions(after, regions) == wanted
