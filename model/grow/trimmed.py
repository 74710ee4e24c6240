"""A network with fewer tokens, and `<mask>` as the last of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dgemma_model.grow.plain import PlainConfig, PlainNetwork
from dgemma_model.grow.tensorfile import Float32
from dgemma_model.grow.vocabulary import Ids


class Trimmed:
    """The rows of the kept tokens, then one for `<mask>` that points where their mean does.

    In the embedding it has the size that the decoder's input norm leaves as it is. The head's row is the mean itself,
    which gives a mask the average logit of all tokens: it is never the likeliest.
    """

    def __init__(self, network: PlainNetwork, kept: Ids, mask_size: float) -> None:
        self._network, self._kept, self._mask_size = network, kept, mask_size
        self.config: PlainConfig = replace(network.config, vocabulary=len(kept) + 1)

    def tensor(self, name: str) -> Float32:
        if name not in ("embedding", "head"):
            return self._network.tensor(name)
        rows = self._network.tensor(name)[self._kept]
        mean = rows.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
        if name == "embedding":
            mean *= np.float32(self._mask_size / np.sqrt(np.square(mean, dtype=np.float64).mean()))
        return np.concatenate([rows, mean])

    def has(self, name: str) -> bool:
        return self._network.has(name)
