"""Everything the user can choose, as one frozen tree.

The tree is also the schema: a field's default, its type and its description stand in one place. `table` lists its
settings, `layers` reads them, and `schema` turns them into JSON. To add a setting, add a field and its description,
then run ``make settings``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

from dgemma_lsp.settings.value_types import Choice, Flag, Fraction, Globs, Names, Text, Whole


class Device(Enum):
    """Where the model runs."""

    CPU = "cpu"
    CUDA = "cuda"


class LogLevel(Enum):
    """How important a message is, the most important first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"

    def lets_pass(self, other: LogLevel) -> bool:
        """Return whether a message of level ``other`` is sent when this level is chosen."""
        levels = list(LogLevel)
        return levels.index(other) <= levels.index(self)


@dataclass(frozen=True)
class UserOnly:
    """Marks a setting that concerns the user and the machine, and that no project may choose."""


@dataclass(frozen=True, slots=True)
class Automatic:
    """Completions that appear while the user types.

    Attributes:
        min_confidence: Completions that the model is less sure of are not shown.
    """

    min_confidence: Annotated[float, Fraction()] = 0.2


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The code action "Rewrite selection".

    Attributes:
        strength: How much of the selected text is forgotten: 1 starts from scratch, lower values keep more of it.
    """

    strength: Annotated[float, Fraction(zero=False)] = 0.7


@dataclass(frozen=True, slots=True)
class Proofread:
    """Hints at possible mistakes.

    Attributes:
        on_save: Whether changed lines are proofread when a document is saved.
        confidence: Hints that the model is less sure of are not shown.
    """

    on_save: Annotated[bool, Flag()] = False
    confidence: Annotated[float, Fraction()] = 0.75


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the user can choose.

    Attributes:
        enable: Whether the server does anything. If false, nothing is loaded and nothing is offered.
        model: Folder or name of a checkpoint. Null means the bundled one.
        device: Where the model runs.
        steps: The most denoising steps to take.
        automatic: Completions that appear while you type.
        rewrite: The code action "Rewrite selection".
        proofread: Hints at possible mistakes.
        context: Whether the model may copy from other open documents. Excluded ones are never read.
        languages: Languages to work in, as editors call them. The bundled model was trained on Python only.
        markers: What you write where something is to be filled in.
        exclude: Files the server must never read, written as in a ``.gitignore``.
        alternatives: How many completions are offered when you ask for them.
        seed: Random seed. The same seed gives the same fills.
        log_level: The least important messages that are sent to the editor's log.
        log_file: Whether the log is also written to a rotating file on this machine.
        log_source: Whether the log may contain source code.
        counters: Whether shown, accepted and kept characters are counted, on this machine only. See dgemma-lsp stats.
        status: Whether the editor is told what the server is doing.
    """

    enable: Annotated[bool, Flag(), UserOnly()] = True
    model: Annotated[str | None, Text(), UserOnly()] = None
    device: Annotated[Device, Choice(Device), UserOnly()] = Device.CPU
    steps: Annotated[int, Whole(1, 256)] = 4
    automatic: Automatic = field(default_factory=Automatic)
    rewrite: Rewrite = field(default_factory=Rewrite)
    proofread: Proofread = field(default_factory=Proofread)
    context: Annotated[bool, Flag()] = True
    languages: Annotated[tuple[str, ...], Names()] = ("python",)
    markers: Annotated[tuple[str, ...], Names()] = ("⟨fill⟩",)
    exclude: Annotated[tuple[str, ...], Globs(), UserOnly()] = (
        "**/.env*",
        "**/*.pem",
        "**/*.key",
        "**/*.crt",
        "**/*.cert",
        "**/.dev.vars",
        "**/secrets.yml",
    )
    alternatives: Annotated[int, Whole(1, 16)] = 3
    seed: Annotated[int, Whole(0, 2**32 - 1)] = 0
    log_level: Annotated[LogLevel, Choice(LogLevel), UserOnly()] = LogLevel.INFO
    log_file: Annotated[bool, Flag(), UserOnly()] = True
    log_source: Annotated[bool, Flag(), UserOnly()] = False
    counters: Annotated[bool, Flag(), UserOnly()] = True
    status: Annotated[bool, Flag(), UserOnly()] = False
