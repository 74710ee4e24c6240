"""Which lines are to be proofread."""

from __future__ import annotations

import pytest

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.proofreading import lines_to_read, prose_regions
from dgemma_lsp.text.source_code import SourceCode

pytestmark = pytest.mark.timeout(20)


def test_strings_and_comments_need_not_be_read() -> None:
    text = 'x = "a" + f("b")  # c\n# d\n\n"""e\nf"""\n  y = 1  \n'
    prose = prose_regions(SourceCode(text, "python"))
    assert [text[one.start : one.end] for one in prose] == ['"a"', '"b"', "# c", "# d", '"""e\nf"""']
    lines = lines_to_read(text, prose)
    assert [text[one.start : one.end] for one in lines] == ['x = "a" + f("b")  # c', "y = 1"]


def test_a_language_that_is_not_known_is_read_as_a_whole() -> None:
    assert prose_regions(SourceCode("# x\n", "cobol")) == []
    assert lines_to_read(" # x\n\n", []) == [Region(1, 4)]
