import pytest

from dgemma_lsp.fill.syntax_errors import python_syntax_errors

SYNTAX = [
    ("good code", "def f(x):\n    return [x, *y]\n", 0),
    ("an empty text", "", 0),
    ("a bracket is missing", "f(x\n", 1),
    ("two separate places", "def f(:\n    pass\n\nx = 1\n\ndef g(:\n    pass\n", 2),
    ("a syntax of Python 3.12", "type A[T] = list[T]\nmatch x:\n    case {'a': 1}:\n        pass\n", 0),
]


@pytest.mark.parametrize(("text", "errors"), [case[1:] for case in SYNTAX], ids=[case[0] for case in SYNTAX])
def test_python_syntax_errors(text: str, errors: int) -> None:
    assert python_syntax_errors(text) == errors
