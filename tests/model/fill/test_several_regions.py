"""Several regions with the bundled checkpoint: each one is written with those before it in view."""

from __future__ import annotations

import pytest

from dgemma_model.fill.infiller import Infiller
from dgemma_model.protocol import Draft, FillOptions, FillRequest
from dgemma_model.syntax.errors import Surroundings

HEAD = "import os\n\n\ndef first(path):\n    return os.path.join(path, 'a')\n\n\ndef second(path):\n    retu"
BETWEEN = "\n\n\ndef third(path):\n    retu"
LAST = "\n\n\ndef fourth(path):\n    return os.path.join(path, 'd')\n"


@pytest.fixture(scope="module")
def own() -> Infiller:
    return Infiller.load()


def final(own: Infiller, *segments: str, single_line: bool = True) -> Draft:
    request = FillRequest(segments, ("",) * (len(segments) - 1), FillOptions(single_line=single_line))
    return list(own.drafts(request, lambda: False))[-1]


@pytest.mark.parametrize("single_line", [True, False])
def test_what_is_written_into_several_regions_parses(own: Infiller, single_line: bool) -> None:
    segments = (HEAD, BETWEEN, BETWEEN.replace("third", "other"), LAST)
    fills = final(own, *segments, single_line=single_line).alternatives[0]
    assert Surroundings(segments).errors([fill.text for fill in fills]) == 0
    assert all(fill.text.startswith("rn") and fill.complete for fill in fills)
    assert all(0 < fill.confidence <= 1 for fill in fills)


def test_a_further_region_gets_what_it_would_get_behind_the_filled_first_one(own: Infiller) -> None:
    first, second = (fill.text for fill in final(own, HEAD, BETWEEN, LAST).alternatives[0])
    alone = final(own, HEAD + first + BETWEEN, LAST)
    assert second in {fills[0].text for fills in alone.alternatives}
