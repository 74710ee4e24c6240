"""What SOURCE on the command line may be: a GGUF file, a folder, or the name of a model on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from dgemma_model.errors import ModelError
from dgemma_model.grow.gguf_source import open_gguf
from dgemma_model.grow.safetensors_source import open_folder
from dgemma_model.grow.source import Source

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_WANTED = ("*.json", "*.safetensors", "chat_template.jinja")


def open_source(name: str) -> Source:
    """The model that a name stands for; a path that exists comes first.

    Raises:
        ModelError: there is nothing of that name, or it cannot be grown.
    """
    path = Path(name)
    if path.is_file():
        return open_gguf(path)
    if path.is_dir():
        return _open_folder(path)
    if path.suffix != ".gguf" and _HUB_NAME.fullmatch(name):
        return open_folder(_fetch(name))
    raise ModelError(
        f"There is no model {name}; give a GGUF file, a folder, or a name like Qwen/Qwen2.5-Coder-0.5B."
    )


def _open_folder(folder: Path) -> Source:
    """A folder as the hub has them, or one with a GGUF file and nothing else that could be meant."""
    if (folder / "config.json").is_file():
        return open_folder(folder)
    found = sorted(folder.glob("*.gguf"))
    split = {re.sub(r"-\d{5}-of-", "-of-", path.name) for path in found}
    if len(split) == 1:
        return open_gguf(found[0])
    raise ModelError(f"{folder} has neither a config.json nor one GGUF model; name the file that you mean.")


def _fetch(name: str) -> Path:
    """The folder of a model of the hub, from its cache or the network (not when HF_HUB_OFFLINE is set)."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(_WANTED)))
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{name} is not in the cache and the hub cannot be reached; download it elsewhere and give its folder."
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(
            f"{name} cannot be fetched from the hub ({reason}); check its name, or give a folder."
        ) from error
