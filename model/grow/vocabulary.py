"""Smaller vocabularies: the tokens of a byte-level BPE that a purpose needs, and a `<mask>`.

A vocabulary stays lossless while all 256 bytes are in it, and a token can be written while the two tokens that it is
merged from can: what is kept is *closed* under merges. Rows of the embedding follow the order of the kept ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgemma_model.errors import ModelError
from dgemma_model.grow.gguf_tokenizer import added_token
from dgemma_model.grow.source import Json, Special

MASK = "<mask>"

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What is kept of a tokenizer.

    Attributes:
        kept: the old ids of all tokens but the last, ascending; a token's new id is its place here. [tokens - 1]
        tokenizer: the new tokenizer.json.
        special: special tokens by their new ids.
    """

    kept: Ids
    tokenizer: Json
    special: Special

    @property
    def mask(self) -> int:
        """The id of `<mask>`, the last one."""
        return len(self.kept)


class Merges:
    """The tokens of a byte-level BPE and what each is made of.

    Raises:
        ModelError: the tokenizer is of another kind.
    """

    def __init__(self, tokenizer: Json) -> None:
        model = tokenizer.get("model") or {}
        if model.get("type") != "BPE" or "ByteLevel" not in str(tokenizer.get("pre_tokenizer")):
            raise ModelError(
                "Only byte-level BPE tokenizers can be trimmed and given a mask; this one is another kind."
            )
        self.ids: Mapping[str, int] = model["vocab"]
        self.pairs = [_pair(merge) for merge in model["merges"]]
        self.special: Mapping[str, int] = {
            token["content"]: token["id"] for token in tokenizer["added_tokens"]
        }
        self._parents: dict[int, tuple[int, int]] = {}
        for left, right in self.pairs:
            self._parents.setdefault(self.ids[left + right], (self.ids[left], self.ids[right]))

    def needed(self) -> set[int]:
        """Tokens of one byte, and special ones: no vocabulary does without them."""
        return {i for token, i in self.ids.items() if len(token) == 1} | set(self.special.values())

    def parts(self, token: int) -> tuple[int, ...]:
        """The two tokens that a token is merged from; none for a byte."""
        return self._parents.get(token, ())

    def missing(self, token: int, kept: set[int]) -> set[int]:
        """The token and all that it is merged from, as far as it is not kept."""
        found: set[int] = set()
        waiting = [token]
        while waiting:
            here = waiting.pop()
            if here not in kept and here not in found:
                found.add(here)
                waiting.extend(self.parts(here))
        return found


def _pair(merge: str | list[str]) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def everything(tokenizer: Json) -> Ids:
    """All ids of a tokenizer; rows of the embedding that belong to no token are dropped."""
    merges = Merges(tokenizer)
    return np.array(sorted({*merges.ids.values(), *merges.special.values()}))


def most_useful(tokenizer: Json, size: int, ranking: Iterable[int]) -> Ids:
    """The ids of a vocabulary of ``size`` tokens, `<mask>` among them.

    Args:
        ranking: ids, the most useful first; taken with what they are merged from while there is room. What is not
            ranked follows in the order of the tokenizer's own merges.

    Raises:
        ModelError: the size does not hold the tokens that none can do without, or there are not so many.
    """
    merges, everyone = Merges(tokenizer), everything(tokenizer)
    kept, room = merges.needed(), size - 1
    if room > len(everyone):
        raise ModelError(
            f"The model has only {len(everyone)} tokens; leave out --vocabulary to keep them all."
        )
    if room < len(kept):
        raise ModelError(
            f"A vocabulary needs at least {len(kept) + 1} tokens here; --vocabulary {size} is too small."
        )
    for token in chain(ranking, everyone.tolist()):
        if len(kept) == room:
            break
        more = merges.missing(token, kept)
        if len(kept) + len(more) <= room:
            kept |= more
    return np.array(sorted(kept))


def keep(tokenizer: Json, kept: Ids, special: Special) -> Vocabulary:
    """The tokenizer with these tokens only, renumbered, and `<mask>` behind them.

    A normaliser is dropped, because it changes texts, and all added tokens become special.

    Raises:
        ModelError: the tokenizer is no byte-level BPE, or has a `<mask>` of its own.
    """
    merges = Merges(tokenizer)
    if MASK in merges.ids or MASK in merges.special:
        raise ModelError(f"The tokenizer has a token {MASK} of its own; such a model cannot be grown.")
    new = {int(old): number for number, old in enumerate(kept)}
    tokens = {token: new[old] for token, old in sorted(merges.ids.items(), key=_by_id) if old in new}
    model = {
        **tokenizer["model"],
        "vocab": {token: number for token, number in tokens.items() if token not in merges.special},
        "merges": [[a, b] for a, b in merges.pairs if a in tokens and b in tokens and a + b in tokens],
    }
    added = [added_token(new[old], token) for token, old in sorted(merges.special.items(), key=_by_id)]
    changed = {
        "added_tokens": [*added, added_token(len(kept), MASK)],
        "normalizer": None,
        "post_processor": _renumbered(tokenizer.get("post_processor"), new),
        "model": model,
    }
    return Vocabulary(kept, {**tokenizer, **changed}, _special(special, new))


def _by_id(item: tuple[str, int]) -> int:
    return item[1]


def _special(special: Special, new: Mapping[int, int]) -> Special:
    def number(old: int | None) -> int | None:
        return None if old is None else new.get(old)

    return replace(
        special,
        begin=number(special.begin),
        ends=tuple(new[old] for old in special.ends if old in new),
        pad=number(special.pad),
    )


def _renumbered(processor: Any, new: Mapping[int, int]) -> Any:
    """A post-processor with new ids, wherever it names some."""
    match processor:
        case dict():
            return {
                key: [new[i] for i in value] if key == "ids" else _renumbered(value, new)
                for key, value in processor.items()
            }
        case list():
            return [_renumbered(value, new) for value in processor]
    return processor
