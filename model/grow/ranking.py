"""Which tokens are the most useful: by counting them in texts, or by the list for code that comes with this package.

The list names tokens of one tokenizer (Qwen2's) by their ids, in steps: all of a step come before all of the next.
``code_tokens.txt`` has a line for each step: the ids, ascending, each as its difference from the one before, in
base 36.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from dgemma_model.errors import ModelError
from dgemma_model.grow.source import Json

LIST = Path(__file__).with_name("code_tokens.txt")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def count(tokenizer: Json, texts: Iterable[str]) -> Counter[int]:
    """How often each token stands in the texts, by id."""
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_str(json.dumps(tokenizer | {"normalizer": None, "post_processor": None}))
    loaded.encode_special_tokens = True
    counts: Counter[int] = Counter()
    for some in _batched(texts, 32):
        for encoding in loaded.encode_batch_fast(some, add_special_tokens=False):
            counts.update(encoding.ids)
    return counts


def _batched(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Texts in lists of that size; the last is shorter."""
    waiting = iter(texts)
    while some := list(islice(waiting, size)):
        yield some


def by_count(counts: Mapping[int, float]) -> list[int]:
    """Ids by falling counts; equal ones by their numbers, so that the order is always the same."""
    return sorted(counts, key=lambda token: (-counts[token], token))


def of_code(tokenizer: Json) -> Iterator[int]:
    """The tokens of the list for code, the most useful first.

    Raises:
        ModelError: the list is of another tokenizer.
    """
    head, *steps = LIST.read_text("ascii").splitlines()
    if head != fingerprint(tokenizer):
        raise ModelError(
            "The list of useful tokens is for Qwen2's tokenizer, and this model has another; "
            "add --texts FOLDER with files of the kind that the model is for."
        )
    for step in steps:
        yield from _unpacked(step)


def write_list(tokenizer: Json, steps: Iterable[Sequence[int]]) -> str:
    """The text of such a list."""
    return "\n".join([fingerprint(tokenizer), *(_packed(sorted(step)) for step in steps)]) + "\n"


def fingerprint(tokenizer: Json) -> str:
    """Names a tokenizer by what its ordinary tokens and merges are."""
    model = tokenizer["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return hashlib.sha256(json.dumps([sorted(model["vocab"].items()), merges]).encode()).hexdigest()


def _packed(ids: Sequence[int]) -> str:
    return " ".join(_base36(here - before) for before, here in zip([0, *ids], ids, strict=False))


def _unpacked(line: str) -> Iterator[int]:
    here = 0
    for word in line.split(" "):
        here += int(word, 36)
        yield here


def _base36(number: int) -> str:
    return (_base36(number // 36) if number >= 36 else "") + _DIGITS[number % 36]
