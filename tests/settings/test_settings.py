"""Settings: what an editor may send, and what is said about mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.settings.layers import Layer, read, read_environment, resolved
from dgemma_lsp.settings.preferences import Preferences
from dgemma_lsp.settings.schema import json_schema
from dgemma_lsp.settings.settings import Automatic, Device, LogLevel, Proofread, Rewrite, Settings
from dgemma_lsp.settings.table import Leaf, leaves, plain
from tools.settings import WRITERS
from tools.vscode_settings import WORDS

pytestmark = pytest.mark.timeout(20)

ROOT = Path(__file__).parents[2]
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


def parse(options: Any, layer: Layer = Layer.EDITOR) -> tuple[Settings, list[str]]:
    chosen, problems = read(options, layer)
    return resolved({layer: chosen}), problems


def test_every_setting_can_be_chosen() -> None:
    options = {
        "enable": False,
        "model": "some/model",
        "device": "cuda",
        "steps": 16,
        "automatic": {"minConfidence": 0.8},
        "rewrite": {"strength": 0.2},
        "proofread": {"onSave": True, "confidence": 0.5},
        "context": False,
        "languages": ["python", "go"],
        "markers": ["<FILL>"],
        "exclude": ["*.key", "!my.key"],
        "alternatives": 5,
        "seed": 3,
        "logLevel": "debug",
        "logFile": False,
        "logSource": True,
        "counters": False,
        "status": True,
    }
    settings, problems = parse(options)
    assert problems == []
    assert settings == Settings(
        False,
        "some/model",
        Device.CUDA,
        16,
        Automatic(0.8),
        Rewrite(0.2),
        Proofread(True, 0.5),
        False,
        ("python", "go"),
        ("<FILL>",),
        ("*.key", "!my.key"),
        5,
        3,
        LogLevel.DEBUG,
        False,
        True,
        False,
        True,
    )


@pytest.mark.parametrize("options", [None, {}, {"dgemma": {}}, {"dgemma": None}, {"steps": None}])
def test_nothing_chosen_is_nothing_chosen(options: Any) -> None:
    assert read(options, Layer.EDITOR) == ({}, [])


def test_settings_may_stand_under_the_products_name() -> None:
    assert parse({"dgemma": {"steps": 8}})[0].steps == 8


def test_a_whole_number_may_be_written_as_a_float() -> None:
    assert parse({"steps": 8.0}) == (Settings(steps=8), [])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"enable": "yes"}, 'Setting enable must be true or false, not "yes".'),
        ({"model": 3}, "Setting model must be a string or null, not 3."),
        ({"model": ""}, 'Setting model must be a string or null, not "".'),
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
        ({"rewrite": {"x": 3}}, "There is no setting rewrite.x; the possible names are strength."),
        ([], "The settings must be an object with settings, not []."),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed_and_changes_nothing(options: Any, problem: str) -> None:
    settings, (told,) = parse(options)
    assert settings == DEFAULTS
    assert told.startswith(problem.removesuffix("."))


def test_what_is_used_in_place_of_a_mistake_is_told() -> None:
    assert parse({"device": "gpu"})[1] == [
        'Setting device must be one of "cpu", "cuda", not "gpu"; unless it is set elsewhere, the default "cpu" is used.'
    ]


def test_one_mistake_does_not_cost_the_other_settings() -> None:
    settings, problems = parse({"steps": 8, "seed": -1})
    assert settings == replace(DEFAULTS, steps=8)
    assert len(problems) == 1


def test_a_long_value_is_shortened() -> None:
    (problem,) = parse({"steps": "x" * 1000})[1]
    assert len(problem) < 200


@given(options=JSON | st.dictionaries(st.sampled_from(KEYS), JSON))
def test_whatever_comes_there_are_settings(options: Any) -> None:
    settings, problems = parse(options)
    assert isinstance(settings, Settings)
    assert all(isinstance(problem, str) for problem in problems)


def test_levels_let_pass_what_is_at_least_as_important() -> None:
    assert LogLevel.INFO.lets_pass(LogLevel.ERROR)
    assert LogLevel.INFO.lets_pass(LogLevel.INFO)
    assert not LogLevel.INFO.lets_pass(LogLevel.DEBUG)


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULTS.steps = 3  # type: ignore[misc]


# Where they come from


def test_a_later_layer_goes_before_the_earlier_ones() -> None:
    layers = {layer: read({"steps": number}, layer)[0] for number, layer in enumerate(Layer, start=10)}
    for layer in reversed(Layer):
        number = 10 + list(Layer).index(layer)
        assert resolved(layers).steps == number
        layers[layer] = read({"steps": 0, "seed": number}, layer)[0]  # a mistake is as good as nothing
        assert resolved(layers).seed == 14
    assert resolved(layers).steps == DEFAULTS.steps


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("DGEMMA_STEPS", "8", "steps", 8),
        ("DGEMMA_ENABLE", "false", "enable", False),
        ("DGEMMA_ENABLE", "1", "enable", True),
        ("DGEMMA_MODEL", "some/model", "model", "some/model"),
        ("DGEMMA_DEVICE", "cuda", "device", Device.CUDA),
        ("DGEMMA_AUTOMATIC_MIN_CONFIDENCE", "0.5", "automatic", Automatic(0.5)),
        ("DGEMMA_LANGUAGES", "python, go", "languages", ("python", "go")),
        ("DGEMMA_LANGUAGES", "", "languages", ()),
        ("DGEMMA_EXCLUDE", "*.key,private/", "exclude", ("*.key", "private/")),
    ],
)
def test_the_environment_chooses(variable: str, text: str, path: str, value: object) -> None:
    chosen, problems = read_environment({variable: text, "HOME": "/home/me", "DGEMMA_CPU": "avx2"})
    assert problems == []
    assert getattr(resolved({Layer.ENVIRONMENT: chosen}), path) == value


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        (
            "DGEMMA_STEPS",
            "many",
            'The environment variable DGEMMA_STEPS must be a whole number from 1 to 256, not "many".',
        ),
        ("DGEMMA_STEPS", "nan", "The environment variable DGEMMA_STEPS must be"),
        (
            "DGEMMA_ENABLE",
            "yes",
            'The environment variable DGEMMA_ENABLE must be true or false, not "yes".',
        ),
        (
            "DGEMMA_STEPZ",
            "3",
            "There is no setting for the environment variable DGEMMA_STEPZ; did you mean DGEMMA_STEPS?",
        ),
    ],
)
def test_a_mistake_in_the_environment_is_named(variable: str, text: str, problem: str) -> None:
    chosen, (told,) = read_environment({variable: text})
    assert chosen == {}
    assert told.startswith(problem)


def project(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_each_folder_has_the_settings_of_its_project(tmp_path: Path) -> None:
    one = project(
        tmp_path / "one", "[tool.dgemma]\nsteps = 8\n[tool.dgemma.automatic]\nmin-confidence = 0.5\n"
    )
    inner = project(one / "inner", "[tool.dgemma]\nautomatic = { minConfidence = 0.75 }\n")
    other = project(tmp_path / "other", "[tool.ruff]\nline-length = 3\n")
    preferences = Preferences({"DGEMMA_SEED": "7"})
    preferences.choose(Layer.EDITOR, {"alternatives": 5})
    preferences.look_at([str(one), str(inner), str(other), str(tmp_path / "none")])
    base = Settings(seed=7, alternatives=5)
    assert preferences.take_problems() == []
    assert preferences.of(str(one / "a.py")) == replace(base, steps=8, automatic=Automatic(0.5))
    assert preferences.of(str(inner / "deep" / "a.py")) == replace(base, automatic=Automatic(0.75))
    assert preferences.of(str(other / "a.py")) == base
    assert preferences.of(str(tmp_path / "a.py")) == preferences.of(None) == preferences.settings == base


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tool.dgemma]\nstepz = 3\n", "There is no setting stepz; did you mean steps?"),
        ("[tool.dgemma]\nsteps = 0\n", "Setting steps must be a whole number from 1 to 256, not 0"),
        ("[tool.dgemma]\nmodel = 'evil'\n", "A project cannot choose model; set it in the editor."),
        ("[tool.dgemma]\nexclude = []\n", "A project cannot choose exclude; set it in the editor."),
        ("tool = 3\n", "cannot be read as TOML"),
        ("[tool", "cannot be read as TOML"),
    ],
)
def test_a_mistake_in_a_project_is_named_with_its_file(tmp_path: Path, text: str, problem: str) -> None:
    preferences = Preferences()
    preferences.look_at([str(project(tmp_path, text))])
    (told,) = preferences.take_problems()
    assert told.startswith(str(tmp_path / "pyproject.toml"))
    assert problem in told
    assert preferences.of(str(tmp_path / "a.py")) == DEFAULTS
    assert preferences.take_problems() == [], "it is told once"


# The schema


@pytest.mark.parametrize("file", WRITERS)
def test_what_is_written_of_the_settings_is_what_they_are(file: str) -> None:
    written = (ROOT / file).read_text("utf-8")
    assert WRITERS[file](written) == written, "make settings writes something else"


@pytest.mark.parametrize("file", WRITERS)
def test_a_setting_that_is_not_written_down_is_noticed(file: str) -> None:
    written = (ROOT / file).read_text("utf-8")
    stale = written.replace("denoising steps to take", "more and more steps")
    assert stale != written
    assert WRITERS[file](stale) == written


def test_words_of_vs_code_are_those_of_settings_that_there_are() -> None:
    assert {f"dgemma.{leaf.name}" for leaf in leaves()} >= set(WORDS)


def test_the_schema_has_every_setting_with_its_default() -> None:
    for leaf in leaves():
        schema = json_schema()
        for name in leaf.name.split("."):
            schema = schema["properties"][name]
        assert schema["default"] == plain(leaf.default)
        assert schema["description"] == leaf.description
        assert leaf.type.read(plain(leaf.default)) == leaf.default


TYPES: Mapping[str, Callable[[Any], bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: TYPES["number"](value) and value == value // 1,
}


def is_valid(value: Any, schema: Mapping[str, Any]) -> bool:
    """The little of JSON schema that our rules need; a keyword that is not known here fails the test."""
    checks: Mapping[str, Callable[[Any], bool]] = {
        "type": lambda types: any(
            TYPES[one](value) for one in ([types] if isinstance(types, str) else types)
        ),
        "enum": lambda values: any(type(one) is type(value) and one == value for one in values),
        "minLength": lambda least: not isinstance(value, str) or len(value) >= least,
        "items": lambda inner: not isinstance(value, list) or all(is_valid(one, inner) for one in value),
        "minimum": lambda low: not TYPES["number"](value) or value >= low,
        "exclusiveMinimum": lambda low: not TYPES["number"](value) or value > low,
        "maximum": lambda high: not TYPES["number"](value) or value <= high,
    }
    return all(checks[keyword](argument) for keyword, argument in schema.items())


@pytest.mark.parametrize("leaf", leaves(), ids=lambda leaf: leaf.name)
@given(value=JSON)
def test_the_schema_allows_what_is_accepted_and_nothing_else(leaf: Leaf, value: Any) -> None:
    try:
        leaf.type.read(value)
    except ValueError:
        # Whether a glob makes sense no schema can say.
        assert not is_valid(value, leaf.type.schema) or leaf.name == "exclude"
    else:
        assert is_valid(value, leaf.type.schema)
