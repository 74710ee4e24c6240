"""The constants that were fitted to a checkpoint, in one file next to its weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dgemma_model.errors import ModelError
from dgemma_model.fill.confidence import Curve
from dgemma_model.fill.facts import Weights, weights_from_json
from dgemma_model.guess.mixture import Mixture

FILE = "fitted.json"
"""In a checkpoint's folder. What fits a constant (`train.evaluate`, `train.fit`) writes it there."""

_MOST_TRUST = 100.0  # nats


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was fitted to one checkpoint; a checkpoint for which something was not fitted has the default.

    Attributes:
        trust: nats by which the denoiser favours the tokens of a guess.
        mixture: how far network, document and corpus are believed.
        confidence: what the likelihood of a fill is worth.
        proofreading: weights of the facts about a mistake; None for a checkpoint that does not proofread.
    """

    trust: float = 3.0
    mixture: Mixture = field(default_factory=Mixture)
    confidence: Curve = field(default_factory=Curve)
    proofreading: Weights | None = None

    @classmethod
    def of_checkpoint(cls, folder: Path) -> Fitted:
        """Read the file in a checkpoint's folder; everything has its default if there is none.

        Raises:
            ModelError: the file cannot be read, or says something else.
        """
        path = folder / FILE
        try:
            return cls._from_json(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"The file {path} cannot be used: {error}.") from error

    def write(self, folder: Path) -> None:
        """Write the file into a checkpoint's folder."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        (folder / FILE).write_text(json.dumps(values, indent=2) + "\n", "utf-8")

    @classmethod
    def _from_json(cls, values: Any) -> Fitted:
        if not isinstance(values, dict):
            raise ValueError("it is no JSON object")
        unknown = values.keys() - _READERS.keys()
        if unknown:
            raise ValueError(f"nothing here is called {min(unknown)}")
        return cls(**{name: _READERS[name](value) for name, value in values.items()})


def _trust(value: float) -> float:
    if not 0 <= value <= _MOST_TRUST:
        raise ValueError(f"trust is between 0 and {_MOST_TRUST} nats, not {value}")
    return float(value)


_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "trust": _trust,
        "mixture": Mixture.from_json,
        "confidence": Curve.from_json,
        "proofreading": weights_from_json,
    }
)
"""How each field of the file is read and checked."""
