"""The folder of a checkpoint, as far as every kind of checkpoint has it. Needs the standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dgemma_model.errors import ModelError

BUNDLED = Path(__file__).parents[1] / "checkpoint"
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"


def read_config(path: Path) -> Mapping[str, Any]:
    """Read the config.json of the checkpoint in folder ``path``; raises ModelError if it cannot be read."""
    file = file_of(path, CONFIG)
    try:
        config = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"The model's configuration {file} cannot be read ({error}).") from error
    if not isinstance(config, dict):
        raise ModelError(f"The model's configuration {file} cannot be read (it is no JSON object).")
    return config


def file_of(folder: Path, name: str) -> Path:
    """The path of a file in a checkpoint's folder; raises ModelError if it is not there."""
    path = folder / name
    if not folder.is_dir():
        raise ModelError(f"There is no model folder {folder}; give the path of a DiffusionGemma checkpoint.")
    if not path.is_file():
        raise ModelError(f"The model folder {folder} has no {name}; it is not a complete checkpoint.")
    return path
