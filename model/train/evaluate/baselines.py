"""What a checkpoint must beat: answers to the same cases without a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy

from dgemma_model.guess.line_copies import drafts
from dgemma_model.tokenizer import Tokenizer
from dgemma_model.train.data.sources import read_sources
from dgemma_model.train.evaluate.cases import Answer, Case


def baselines(tokenizer: Tokenizer, texts: Iterable[str]) -> Mapping[str, Answer]:
    """Return all baselines by name; bigrams are counted in ``texts``."""
    return {
        "empty": empty,
        "most similar line": most_similar_line,
        "bigram back-off": Bigrams(tokenizer, texts),
        "draft alone": draft_alone,
    }


def empty(case: Case) -> Sequence[str]:
    """Answer nothing."""
    return [""] * len(case.spans)


def most_similar_line(case: Case) -> Sequence[str]:
    """Answer with the rest of the file's most similar line: the one that begins like the region's, nearest above it."""
    return [stop_in_time(_similar(case.text, start), case.text, end) for start, end in case.spans]


def _similar(text: str, start: int) -> str:
    line_start = text.rfind("\n", 0, start) + 1
    typed = text[line_start:start].lstrip()
    number = text.count("\n", 0, start)
    lines = [line.strip() for line in text.split("\n")]
    others = [(index, line) for index, line in enumerate(lines) if index != number and line]
    if not others:
        return ""
    _, best = max(
        others, key=lambda other: (_shared(typed, other[1]), other[0] < number, -abs(number - other[0]))
    )
    return best[_shared(typed, best) :]


def _shared(first: str, second: str) -> int:
    pairs = zip(first, second, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def stop_in_time(answer: str, text: str, end: int) -> str:
    """Cut an answer where the text behind the region begins, as the checkpoint's drafts are cut."""
    rest = text[end:].split("\n", 1)[0].strip()
    stop = answer.find(rest) if rest else -1
    return answer if stop < 0 else answer[:stop]


def draft_alone(case: Case) -> Sequence[str]:
    """Answer with the draft that the document suggests; what the network adds is the difference from it."""
    return [found or "" for found in drafts(case.masked.segments)]


class Bigrams:
    """Answers with the likeliest next token after the last one, again and again, until the line ends."""

    def __init__(self, tokenizer: Tokenizer, texts: Iterable[str]) -> None:
        size = tokenizer.vocab_size
        counts = numpy.zeros(size * size, dtype=numpy.int32)
        for text in texts:
            ids = numpy.array(tokenizer.encode(text), dtype=numpy.int64)
            numpy.add.at(counts, ids[:-1] * size + ids[1:], 1)
        table = counts.reshape(size, size)
        unigram = int(table.sum(0).argmax())
        self._next = numpy.where(table.any(1), table.argmax(1), unigram)
        self._tokenizer = tokenizer

    def __call__(self, case: Case) -> Sequence[str]:
        """Answer each region of a case."""
        return [stop_in_time(self._continue(case.text[:start]), case.text, end) for start, end in case.spans]

    def _continue(self, prefix: str) -> str:
        token = (self._tokenizer.encode(prefix[-200:]) or [self._tokenizer.bos_id])[-1]
        tokens: list[int] = []
        while len(tokens) < 24:
            token = int(self._next[token])
            if b"\n" in self._tokenizer.token_bytes(token):
                break
            tokens.append(token)
        return self._tokenizer.decode_lossy(tokens)


def corpus_texts(corpus: Path, megabytes: float) -> Iterator[str]:
    """Yield training texts in the file's order, which is shuffled, until there are so many megabytes."""
    left = megabytes * 1e6
    for source in read_sources(corpus):
        yield source.text
        left -= len(source.text)
        if left < 0:
            return
