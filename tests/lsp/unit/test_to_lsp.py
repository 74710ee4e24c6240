"""Fills → protocol types, and the last check before they leave."""

from __future__ import annotations

from unittest import mock

import pytest
from lsprotocol.types import ClientCapabilities, Position, PositionEncodingKind, Range, SelectedCompletionInfo

from dgemma_lsp.lsp.offers import Offer
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.lsp.spot import Spot
from dgemma_lsp.lsp.suggestions import Rest
from dgemma_lsp.lsp.to_lsp import inline_items, workspace_edit
from dgemma_lsp.text.guarantee import GuaranteeBroken
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_lsp.text.regions.actions import Action
from dgemma_lsp.text.regions.frame import Frame

pytestmark = pytest.mark.timeout(20)

DOCUMENT = Snapshot("file:///a.py", 3, "python", "x = 1\n", PositionEncodingKind.Utf16)


def spot(line: str, replaced: tuple[int, int], chosen: str) -> Spot:
    """An entry of the editor's own list is selected, which would replace some of the line."""
    selected = SelectedCompletionInfo(Range(*(Position(0, end) for end in replaced)), chosen)
    document = Snapshot(DOCUMENT.uri, 3, "python", line, PositionEncodingKind.Utf16)
    return Spot.of(document, Position(0, replaced[1]), selected)


def test_an_item_tells_which_suggestion_it_is_of() -> None:
    (item,) = inline_items(Spot.of(DOCUMENT, Position(0, 4), None), [Rest("2 + ", 7, 1)])
    assert (item.insert_text, item.filter_text) == ("2 + ", None)
    assert item.range == Range(Position(0, 4), Position(0, 4))
    assert item.command is not None
    assert (item.command.command, item.command.arguments) == ("dgemma.accepted", [DOCUMENT.uri, 7, 1])


@pytest.mark.parametrize(
    ("line", "replaced", "chosen", "text", "filter_text"),
    [
        pytest.param("x = pri\n", (4, 7), "print", "x = print\n", None, id="the rest of a word"),
        pytest.param("x = prt\n", (4, 7), "print", "x = print\n", "prt", id="found by some of its letters"),
        pytest.param("x = Pri\n", (4, 7), "print", "x = print\n", "Pri", id="found in the other case"),
        pytest.param("x = \n", (4, 4), "print", "x = print\n", None, id="nothing is typed"),
        pytest.param("😋 = é; p\n", (8, 9), "pop", "😋 = é; pop\n", None, id="behind astral characters"),
    ],
)
def test_an_item_extends_the_entry_that_is_selected(
    line: str, replaced: tuple[int, int], chosen: str, text: str, filter_text: str | None
) -> None:
    place = spot(line, replaced, chosen)
    assert (place.text, place.cursor) == (text, text.index(chosen) + len(chosen))
    (item,) = inline_items(place, [Rest("(x)", 0, 0)])
    assert (item.insert_text, item.filter_text) == (chosen + "(x)", filter_text)
    assert item.range == Range(*(Position(0, end) for end in replaced))


def test_an_edit_that_reaches_outside_of_its_region_never_leaves() -> None:
    with mock.patch.object(MaskedDocument, "filled", return_value="y = 2\n"):
        with pytest.raises(GuaranteeBroken):
            inline_items(Spot.of(DOCUMENT, Position(0, 4), None), [Rest("2", 0, 0)])
        with pytest.raises(GuaranteeBroken):
            workspace_edit(DOCUMENT, [Frame(Region(4, 5))], ["2"], ClientCapabilities(), "x", "y")


def test_an_offer_survives_the_way_to_the_editor_and_back() -> None:
    offer = Offer("file:///a.py", 3, Region(4, 5), Action.FILL_FILE)
    assert Offer.from_data(offer.to_data()) == offer
