import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.text.guarantee import GuaranteeBroken, apply_fills, check_only_regions_changed
from dgemma_lsp.text.masked import Region
from tests.fakes import masked


def test_fills_go_where_their_regions_are() -> None:
    assert apply_fills(masked("a «b» c«» d"), ["BB", "!"]) == "a BB c! d"


BROKEN = [
    ("text before a region changed", "A x c y e", ["x", "y"]),
    ("text between the regions changed", "a x C y e", ["x", "y"]),
    ("text after the last region changed", "a x c y E", ["x", "y"]),
    ("text was appended", "a x c y e!", ["x", "y"]),
    ("text was cut off at the end", "a x c y ", ["x", "y"]),
    ("a line ending changed", "a x c y e\r", ["x", "y"]),
    ("a region holds something else than its fill", "a x c z e", ["x", "y"]),
    ("fills are in the wrong order", "a x c y e", ["y", "x"]),
    ("a fill is missing", "a x c d e", ["x"]),
]


@pytest.mark.parametrize(("after", "fills"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_the_guarantee_notices_when(after: str, fills: list[str]) -> None:
    before = "a b c d e"
    with pytest.raises(GuaranteeBroken):
        check_only_regions_changed(before, [Region(2, 3), Region(6, 7)], after, fills)


@given(st.text("ab\n"), st.text("ab\n", max_size=5), st.data())
def test_the_guarantee_accepts_exactly_the_filled_text(text: str, fill: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    region = Region(start, data.draw(st.integers(start, len(text))))
    filled = text[: region.start] + fill + text[region.end :]
    check_only_regions_changed(text, [region], filled, [fill])
    other = data.draw(st.text("ab\n").filter(lambda other: other != filled))
    with pytest.raises(GuaranteeBroken):
        check_only_regions_changed(text, [region], other, [fill])
