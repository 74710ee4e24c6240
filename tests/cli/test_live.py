import pytest
from rich.text import Text

from dgemma_lsp.cli.live import frame, style
from dgemma_model.protocol import Draft, Fill, Slot
from tests.fakes import draft_of, masked


def test_a_frame_shows_the_fill_in_its_surrounding_lines() -> None:
    document = masked("1\n2\n3\n4 «a» 4\n5\n6\n7\n", path="f.py")
    assert frame(document, draft_of(["x\ny"])).plain == (
        "f.py · filled · step 4 · 90% sure · 12 ms\n2\n3\n4 x\ny 4\n5\n6"
    )


def test_what_lies_between_two_regions_is_counted() -> None:
    document = masked("«»" + "\n".join("abcdefghi") + "«»")
    assert frame(document, draft_of(["x", "y"])).plain.split("\n")[1:] == [
        "xa",
        "b",
        "c",
        "⋯ 3 lines",
        "g",
        "h",
        "iy",
    ]
    close = masked("«»a\nb\nc«»")
    assert frame(close, draft_of(["x", "y"])).plain.split("\n")[1:] == ["xa", "b", "cy"]


def test_slots_are_shown_one_by_one() -> None:
    slots = (Slot("ab", 0.95, True), Slot("cd", 0.2, False))
    picture = frame(masked("«»"), Draft(1, False, ((Fill("abcd", 0.2, True, slots),),), 0, 0, 0.0))
    assert _styles(picture) == {"ab": "green", "cd": "dim red"}


def _styles(picture: Text) -> dict[str, str]:
    return {picture.plain[span.start : span.end]: str(span.style) for span in picture.spans[1:] if span}


@pytest.mark.parametrize(
    ("confidence", "settled", "wanted"),
    [
        (1.0, True, "green"),
        (0.9, True, "green"),
        (0.6, True, "yellow"),
        (0.1, True, "red"),
        (0.6, False, "dim yellow"),
    ],
)
def test_style(confidence: float, settled: bool, wanted: str) -> None:
    assert style(confidence, settled) == wanted


def test_nothing_in_a_text_steers_the_terminal() -> None:
    document = masked("a\x1b[31m \x9b\r\nb «» \x07\x00", path="\x1b]0;title\x07.py")
    plain = frame(document, draft_of(["\x1b[2J[bold]x[/bold]"])).plain
    assert not any(
        (character < " " and character != "\n") or "\x7f" <= character < "\xa0" for character in plain
    )
    assert "[bold]x[/bold]" in plain
