"""The pure parts of bench/: numbers, table, record, and where the user types. Nothing is measured here."""

from __future__ import annotations

import json
import re

import pytest

from bench.figures import Figure, Machine, described, known_flags, percentile, record, spread, table
from bench.files import DEMO, LONG
from bench.keystrokes import places, prefixes
from bench.measurements import SESSION

MACHINE = Machine("A CPU", 2, ("avx2",), "3.11.7", "2.13.0", 1, 0.25)

FILE = "import os\n" + "".join(f"first_{n} = compute_something({n})\nx = {n}\n" for n in range(9))


@pytest.mark.parametrize(
    ("share", "wanted"), [(0.0, 1), (0.5, 5), (0.95, 10), (1.0, 10)], ids=["none", "half", "most", "all"]
)
def test_a_percentile_is_one_of_the_values(share: float, wanted: float) -> None:
    assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == wanted


def test_of_a_spread_only_the_median_has_a_target() -> None:
    half, most = spread("typing", [1.0, 2.0, 900.0], "ms", 400)
    assert (half.name, half.value, half.met) == ("typing, p50", 2.0, True)
    assert (most.name, most.value, most.met) == ("typing, p95", 900.0, None)


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("a", 6.0, "s", 6), True),
        (Figure("a", 6.1, "s", 6), False),
        (Figure("a", 2.0, "×", 3), False),
        (Figure("a", 3.0, "×", 3), True),
        (Figure("a", 3.0, "ms"), None),
    ],
)
def test_times_must_be_small_and_ratios_large(figure: Figure, met: bool | None) -> None:
    assert figure.met is met


def test_the_table_shows_targets_beside_numbers() -> None:
    figures = [Figure("start", 0.512, "s", 0.5), Figure("step", 12.4, "ms"), Figure("faster", 3.21, "×", 2)]
    assert table(figures).splitlines() == [
        "| what | measured | target |",
        "| --- | ---: | ---: |",
        "| start | 0.51 s | ≤ 0.5 s (missed) |",
        "| step | 12 ms |  |",
        "| faster | 3.2 × | ≥ 2 × |",
    ]


def test_a_record_is_json_and_names_nobodys_machine() -> None:
    told = json.loads(json.dumps(record(MACHINE, [Figure("start", 0.123456, "s", 0.5)])))
    assert told["figures"] == [{"name": "start", "value": 0.1235, "unit": "s", "target": 0.5, "met": True}]
    assert set(told["machine"]) == {"cpu", "cores", "flags", "python", "torch", "threads", "load"}


def test_a_machine_is_busy_when_somebody_else_works_on_it() -> None:
    assert not MACHINE.is_busy
    assert Machine("A CPU", 2, (), "3.11.7", "2.13.0", 1, 1.2).is_busy
    assert "A CPU, 2 cores (avx2)" in described(MACHINE)


def test_only_flags_that_matter_are_told() -> None:
    assert known_flags("fpu amx_tile sse avx512f hypervisor") == ("avx512f", "amx_tile")


def test_places_are_spread_over_the_long_lines_and_end_in_the_middle_of_one() -> None:
    found = places(FILE, 3, 5)
    assert [place.line for place in found] == [1, 7, 13]
    for place in found:
        line = place.text.splitlines()[place.line]
        assert len(line) == place.character
        assert FILE.splitlines()[place.line].startswith(line + place.typed)
        assert len(place.typed) == 5


def test_too_few_lines_are_refused() -> None:
    with pytest.raises(ValueError, match="9 long lines, not 10"):
        places(FILE, 10, 5)


def test_each_keystroke_moves_the_cursor_by_one() -> None:
    (place,) = places(FILE, 1, 4)
    steps = list(prefixes(place))
    assert [len(before) - len(steps[0][0]) for before, _ in steps] == [0, 1, 2, 3, 4]
    assert {after for _, after in steps} == {steps[0][1]}
    assert steps[0][0] + steps[0][1] == place.text


def test_what_is_measured_is_what_the_names_say() -> None:
    assert len(LONG.read_text("utf-8").splitlines()) == 300
    assert len(SESSION) == 60
    assert re.search(r"\.\.\.", DEMO.read_text("utf-8"))
