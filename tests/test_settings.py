"""Settings: what an editor may send, and what is said about mistakes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.settings import Automatic, Device, LogLevel, Rewrite, Settings, parse

pytestmark = pytest.mark.timeout(20)

DEFAULTS = Settings()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = [
    "enable",
    "model",
    "device",
    "steps",
    "automatic",
    "rewrite",
    "languages",
    "alternatives",
    "seed",
    "x",
]


def test_every_setting_can_be_chosen() -> None:
    options = {
        "enable": False,
        "model": "some/model",
        "device": "cuda",
        "steps": 16,
        "automatic": {"minConfidence": 0.8},
        "rewrite": {"strength": 0.2},
        "languages": ["python", "go"],
        "exclude": ["*.key", "!my.key"],
        "alternatives": 5,
        "seed": 3,
        "logLevel": "debug",
        "status": True,
    }
    settings, problems = parse(options, DEFAULTS)
    assert problems == []
    assert settings == Settings(
        False,
        "some/model",
        Device.CUDA,
        16,
        Automatic(0.8),
        Rewrite(0.2),
        ("python", "go"),
        ("*.key", "!my.key"),
        5,
        3,
        LogLevel.DEBUG,
        True,
    )


@pytest.mark.parametrize("options", [None, {}, {"dgemma": {}}, {"dgemma": None}])
def test_nothing_chosen_is_nothing_changed(options: Any) -> None:
    base = Settings(steps=4)
    assert parse(options, base) == (base, [])


def test_settings_may_stand_under_the_products_name() -> None:
    assert parse({"dgemma": {"steps": 4}}, DEFAULTS)[0].steps == 4


def test_what_is_not_named_stays_as_it_was() -> None:
    base = Settings(steps=4, automatic=Automatic(0.9))
    assert parse({"seed": 1}, base)[0] == Settings(steps=4, seed=1, automatic=Automatic(0.9))


def test_a_whole_number_may_be_written_as_a_float() -> None:
    assert parse({"steps": 4.0}, DEFAULTS) == (Settings(steps=4), [])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"enable": "yes"}, 'Setting enable must be true or false, not "yes".'),
        ({"model": 3}, "Setting model must be a text or null, not 3."),
        ({"model": ""}, 'Setting model must be a text or null, not "".'),
        ({"device": "gpu"}, 'Setting device must be one of "cpu", "cuda", not "gpu".'),
        ({"device": ["cpu"]}, 'Setting device must be one of "cpu", "cuda", not ["cpu"].'),
        ({"steps": 0}, "Setting steps must be a whole number from 1 to 256, not 0."),
        ({"steps": 2.5}, "Setting steps must be a whole number from 1 to 256, not 2.5."),
        ({"steps": True}, "Setting steps must be a whole number from 1 to 256, not true."),
        (
            {"automatic": {"minConfidence": 2}},
            "Setting automatic.minConfidence must be a number from 0 to 1, not 2.",
        ),
        (
            {"rewrite": {"strength": 0}},
            "Setting rewrite.strength must be a number above 0 and at most 1, not 0.",
        ),
        ({"languages": "go"}, 'Setting languages must be a list of names such as ["python"], not "go".'),
        (
            {"languages": ["go", ""]},
            'Setting languages must be a list of names such as ["python"], not ["go", ""].',
        ),
        ({"languages": [1]}, 'Setting languages must be a list of names such as ["python"], not [1].'),
        ({"rewrite": 3}, "Setting rewrite must be an object with settings, not 3."),
        ({"stepz": 3}, "There is no setting stepz; did you mean steps?"),
        ({"rewrite": {"x": 3}}, "There is no setting rewrite.x; there are strength."),
        ([], "The settings must be an object with settings, not []."),
    ],
)
def test_a_mistake_is_named_and_changes_nothing(options: Any, problem: str) -> None:
    settings, problems = parse(options, DEFAULTS)
    assert settings == DEFAULTS
    assert [told.removesuffix(".") for told in problems] == [problem.removesuffix(".")]


def test_one_mistake_does_not_cost_the_other_settings() -> None:
    settings, problems = parse({"steps": 4, "seed": -1}, DEFAULTS)
    assert settings == replace(DEFAULTS, steps=4)
    assert len(problems) == 1


def test_a_long_value_is_shortened() -> None:
    (problem,) = parse({"steps": "x" * 1000}, DEFAULTS)[1]
    assert len(problem) < 150


@given(options=JSON | st.dictionaries(st.sampled_from(KEYS), JSON))
def test_whatever_comes_there_are_settings(options: Any) -> None:
    settings, problems = parse(options, DEFAULTS)
    assert isinstance(settings, Settings)
    assert all(isinstance(problem, str) for problem in problems)


def test_levels_let_pass_what_is_at_least_as_important() -> None:
    assert LogLevel.INFO.lets_pass(LogLevel.ERROR)
    assert LogLevel.INFO.lets_pass(LogLevel.INFO)
    assert not LogLevel.INFO.lets_pass(LogLevel.DEBUG)


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULTS.steps = 3  # type: ignore[misc]
