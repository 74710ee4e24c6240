"""What ``dgemma-edit`` prints: a diff, the whole text, or JSON.

The shape of ``--json``, which is printed for exit status 0 and 1:

    {
      "file": "a.py",                      as given; "-" for stdin without --stdin-filename
      "written": false,                    true when --write replaced the file
      "steps": 6, "milliseconds": 118.2,   denoising steps taken; time in the engine, without loading
      "prompt_tokens": 410, "encoded_tokens": 410,
      "engine": {"name": …, "model": …, "parameters": …, "device": …, "dtype": …},
      "regions": [                         in document order
        {"start": {"line": 3, "column": 5, "byte": 40},  line and column from 1, byte from 0
         "end": …,                         exclusive
         "present": "pass",                the text before the fill
         "fill": "return x",               null when nothing was accepted
         "confidence": 0.93}               0..1; null when nothing was accepted
      ],
      "alternatives": [                    accepted ones first; "fills" has one text for each region
        {"fills": ["return x"], "confidences": [0.93],
         "rejection": null,                or "low confidence", "unparseable", …
         "reason": ""}                     one sentence
      ]
    }
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgemma_lsp.cli import spans
from dgemma_lsp.cli.edit_arguments import STDIN, Command, Output
from dgemma_lsp.cli.textfile import TextFile
from dgemma_lsp.fill.pipeline import Candidate, Outcome
from dgemma_lsp.text.diff import unified_diff
from dgemma_lsp.text.masked import MaskedDocument
from dgemma_model.protocol import EngineInfo

_SHOWN_OF_THE_ENGINE = ("name", "model", "parameters", "device", "dtype")


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything there is to say about a fill.

    Attributes:
        command: what was asked for.
        file: the file before the fill.
        document: its text and regions.
        outcome: the fills, accepted or rejected.
        engine: the engine that made them.
    """

    command: Command
    file: TextFile
    document: MaskedDocument
    outcome: Outcome
    engine: EngineInfo


def printed(answer: Answer, filled: bytes) -> bytes:
    """Return what stdout gets for an accepted fill.

    Args:
        answer: the fill.
        filled: the whole file with the fill in it.
    """
    match answer.command.output:
        case Output.DIFF:
            return unified_diff(answer.file.raw, filled, _diff_path(answer.command.name))
        case Output.TEXT:
            return filled
        case Output.JSON:
            return as_json(answer, written=answer.command.write)
        case Output.NOTHING:
            return b""


def printed_refusal(answer: Answer) -> bytes:
    """Return what stdout gets when no fill was accepted."""
    return as_json(answer, written=False) if answer.command.output is Output.JSON else b""


def as_json(answer: Answer, written: bool) -> bytes:
    """Write the answer in the shape of the module's docstring."""
    import json

    outcome = answer.outcome
    content = {
        "file": answer.command.name,
        "written": written,
        "steps": outcome.steps,
        "milliseconds": round(outcome.milliseconds, 1),
        "prompt_tokens": outcome.prompt_tokens,
        "encoded_tokens": outcome.encoded_tokens,
        "engine": {name: getattr(answer.engine, name) for name in _SHOWN_OF_THE_ENGINE},
        "regions": [_region(answer, index) for index in range(len(answer.document.regions))],
        "alternatives": [_alternative(candidate) for candidate in outcome.candidates],
    }
    # ASCII, so that no encoding of stdout and no stray surrogate in a rejected fill can get in the way.
    return json.dumps(content, indent=2).encode("ascii") + b"\n"


def _region(answer: Answer, index: int) -> dict[str, Any]:
    region, best = answer.document.regions[index], answer.outcome.best
    return {
        "start": _position(answer.file, region.start),
        "end": _position(answer.file, region.end),
        "present": answer.document.present[index],
        "fill": best and best.texts[index],
        "confidence": best and best.confidences[index],
    }


def _alternative(candidate: Candidate) -> dict[str, Any]:
    return {
        "fills": candidate.texts,
        "confidences": candidate.confidences,
        "rejection": candidate.rejection and candidate.rejection.value,
        "reason": candidate.reason,
    }


def _position(file: TextFile, offset: int) -> dict[str, int]:
    line, column = spans.line_and_column(file.text, offset)
    return {"line": line, "column": column, "byte": file.byte_at(offset)}


def summary(command: Command, outcome: Outcome, best: Candidate) -> str:
    """Return the sentence that stderr gets when a file was replaced."""
    regions = "1 region" if len(best.texts) == 1 else f"{len(best.texts)} regions"
    steps = "1 step" if outcome.steps == 1 else f"{outcome.steps} steps"
    return (
        f"Filled {regions} of {command.name} in {steps} and {outcome.milliseconds:.0f} ms, "
        f"{best.confidence:.0%} sure."
    )


def _diff_path(name: str) -> str:
    """Name the file from the working folder, where the diff will most likely be applied, or else from the root."""
    if name == STDIN:
        return "stdin"
    path, here = Path(os.path.abspath(name)), Path.cwd()
    base = here if path.is_relative_to(here) else Path(path.anchor)
    return path.relative_to(base).as_posix()
