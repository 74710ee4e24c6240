"""What both commands answer from the outside is what was recorded; ``make record`` records it anew."""

from __future__ import annotations

import pytest

from tools.answers.outside import why_not_here
from tools.answers.recording import differences, load
from tools.answers.takings import FOLDER, RECORDINGS, file_of, take

# A minute for all of them on an idle core, and many times that on a busy one.
pytestmark = pytest.mark.timeout(300)

LARGEST_BYTES = 400_000


@pytest.mark.skipif(bool(why_not_here()), reason=why_not_here() or "they can be repeated")
@pytest.mark.parametrize("name", RECORDINGS)
def test_the_answers_are_the_recorded_ones(name: str) -> None:
    found = differences(load(file_of(name)), take(name))
    assert found == [], "\n".join([f"{name}.json is not what is answered now:", *found])


def test_every_recording_is_made_and_all_are_small_enough_to_be_read() -> None:
    files = sorted(FOLDER.iterdir())
    assert files == sorted(map(file_of, RECORDINGS))
    assert sum(file.stat().st_size for file in files) < LARGEST_BYTES
