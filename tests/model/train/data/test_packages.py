"""The table of packages: what is allowed in it, and how a bad one is explained."""

from __future__ import annotations

import pytest

from dgemma_model.train.data import packages
from dgemma_model.train.data.packages import CorpusError, Split
from tests.model.train.data.made_up import row


def test_the_committed_table_is_valid() -> None:
    table = packages.parse_packages(packages.PACKAGES_TOML.read_text(encoding="utf-8"))
    assert sum(package.split is Split.HELD_OUT for package in table) >= 12
    assert all(len(package.sha256) == 64 for package in table)


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("MPL-2.0 AND MIT", False),
        ("GPL-3.0-only AND MIT OR LGPL-2.1-only", False),
        ("MPL-2.0", False),
        ("", False),
        ("MIT-like", False),
    ],
)
def test_only_permissive_licences_are_allowed(expression: str, allowed: bool) -> None:
    assert packages.licence_allowed(expression) is allowed


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        pytest.param(row(licence="GPL-3.0-only"), "p: licence not allowed: GPL-3.0-only", id="licence"),
        pytest.param(row(split="both"), "'both' is not a valid Split", id="unknown split"),
        pytest.param(row() + 'colour = "red"\n', "colour", id="unknown key"),
        pytest.param('[[package]]\nname = "p"\n', "bad table", id="missing key"),
        pytest.param("[[package", "bad table", id="not TOML"),
        pytest.param("", "bad table", id="empty"),
        pytest.param(row("P") + row("p", split="held_out"), "named twice: p", id="in both splits"),
    ],
)
def test_a_bad_table_is_explained(table: str, complaint: str) -> None:
    with pytest.raises(CorpusError, match=complaint):
        packages.parse_packages(table)
