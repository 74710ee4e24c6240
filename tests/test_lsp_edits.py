"""Fills → protocol types, and the last check before they leave."""

from __future__ import annotations

from unittest import mock

import pytest
from lsprotocol.types import ClientCapabilities, PositionEncodingKind

from dgemma_lsp.documents import Snapshot
from dgemma_lsp.edits import GuaranteeBroken
from dgemma_lsp.lsp_edits import Offer, inline_items, workspace_edit
from dgemma_lsp.masked import MaskedDocument, Region
from dgemma_lsp.pipeline import Candidate
from dgemma_lsp.regions import Action, Frame

pytestmark = pytest.mark.timeout(20)

DOCUMENT = Snapshot("file:///a.py", 3, "python", "x = 1\n", PositionEncodingKind.Utf16)
MASKED = MaskedDocument(DOCUMENT.text, (Region(4, 5),))


def candidate(text: str) -> Candidate:
    return Candidate((text,), (0.9,), None, "")


def test_the_same_text_is_one_item() -> None:
    items = inline_items(DOCUMENT, MASKED, [candidate("2"), candidate("3"), candidate("2")])
    assert [item.insert_text for item in items] == ["2", "3"]


def test_an_edit_that_reaches_outside_of_its_region_never_leaves() -> None:
    with mock.patch.object(MaskedDocument, "filled", return_value="y = 2\n"):
        with pytest.raises(GuaranteeBroken):
            inline_items(DOCUMENT, MASKED, [candidate("2")])
        with pytest.raises(GuaranteeBroken):
            workspace_edit(DOCUMENT, [Frame(Region(4, 5))], ["2"], ClientCapabilities())


def test_an_offer_survives_the_way_to_the_editor_and_back() -> None:
    offer = Offer("file:///a.py", 3, Region(4, 5), Action.FILL_FILE)
    assert Offer.from_data(offer.to_data()) == offer
