"""The tokenizer of a GGUF file as the content of a tokenizer.json.

GGUF keeps tokens, merges and the *name* of the rule that cuts a text into words; the rules themselves are part of
llama.cpp. Those of the two families are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

from dgemma_model.errors import ModelError
from dgemma_model.grow.source import Json

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class _TokenType(IntEnum):
    """llama.cpp's kinds of tokens that are not ordinary text."""

    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5


class Fields(Protocol):
    """Metadata by key."""

    def get(self, key: str, default: Any = None) -> Any: ...


def tokenizer_of(fields: Fields, path: Path) -> Json:
    """The tokenizer; tokens that the model never saw are left out.

    Raises:
        ModelError: not a byte-level BPE, or one with a rule for words that is not known here.
    """
    if (model := fields.get("tokenizer.ggml.model")) != "gpt2":
        raise ModelError(f"{path} has a tokenizer of the kind {model}; only byte-level BPE can be grown.")
    tokens, kinds = fields.get("tokenizer.ggml.tokens"), fields.get("tokenizer.ggml.token_type")
    apart = {i for i, kind in enumerate(kinds) if kind in (_TokenType.CONTROL, _TokenType.USER_DEFINED)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(i, tokens[i]) for i in sorted(apart)],
        "normalizer": None,
        "pre_tokenizer": _pre_tokenizer(fields.get("tokenizer.ggml.pre", "default"), path),
        "post_processor": None,
        "decoder": _byte_level(use_regex=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {
                token: i for i, token in enumerate(tokens) if i not in apart and kinds[i] != _TokenType.UNUSED
            },
            "merges": [merge.split(" ") for merge in fields.get("tokenizer.ggml.merges")],
        },
    }


def added_token(number: int, content: str) -> Json:
    """An entry of `added_tokens`. All are special: a tokenizer can then be told to read their names as plain text."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": content, **flags}


def _pre_tokenizer(name: str, path: Path) -> Json:
    known: Mapping[str, Json] = {
        "qwen2": _split(_WORDS % ""),
        "llama-bpe": _split(_WORDS % "{1,3}"),
        "smollm": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, _byte_level(use_regex=True)],
        },
        "gpt-2": _byte_level(use_regex=True),
    }
    if name not in known:
        raise ModelError(
            f"{path} cuts texts into words by the rule {name}, which is not known here; "
            "give a folder with tokenizer.json and safetensors instead."
        )
    return known[name]


def _split(pattern: str) -> Json:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, _byte_level(use_regex=False)]}


def _byte_level(*, use_regex: bool) -> Json:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}
