"""Small files that may stand beside a checkpoint's weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dgemma_model.errors import ModelError

T = TypeVar("T")


def read(path: Path, parse: Callable[[str], T]) -> T | None:
    """What a file says, or None where there is none.

    Args:
        parse: may raise ValueError, KeyError or TypeError.

    Raises:
        ModelError: there is one that cannot be read.
    """
    try:
        return parse(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The file {path} cannot be used: {error}.") from error
