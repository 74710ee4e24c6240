"""Training examples: real files with regions cut out, laid out exactly as they are when serving.

One *row* is one prompt with several canvases over it:

- the *main* canvas holds the document's regions (1 to 4), all in one group whose slots see each other;
- *inner* canvases continue the prefix from some token to the end of its line, seeing only the prompt before that token.
  They cost a few slots each and no prompt of their own, and give a short run many more targets.

Behind the prompt, where no canvas looks, stands the *continuation*: a mark, the first region's text and ``<end>``. The
encoder so learns to write a region token by token, knowing what follows it (see `writing`).

Regions are cut at character positions, in the middle of identifiers too. This module knows nothing of networks.
"""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import tree_sitter_python
from torch import Tensor
from tree_sitter import Language, Node, Parser

from dgemma_model.guess.line_copies import draft
from dgemma_model.layouts.infill import Layout, arrange, bucket, drafted
from dgemma_model.layouts.masked import stem
from dgemma_model.tokenizer import Tokenizer

NODE_KINDS = frozenset(
    {"argument_list", "attribute", "binary_operator", "block", "call", "comparison_operator", "dictionary"}
    | {"expression_statement", "for_statement", "if_statement", "list", "parameters", "return_statement"}
    | {"assignment", "string", "subscript", "import_from_statement"}
)
_EVENING = 3  # rows of a batch that are chosen by their length
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a row, in tokens.

    Attributes:
        prompt: of the prompt; shorter ones are padded at the end, where nothing looks.
        canvas: slots of all the canvases of a row together.
        suffix: at most, after the last region.
        characters_per_token: how much text is tokenised for a budget of tokens.
        inner_drafts: share of the inner canvases that begin as drafts where there is one.
    """

    prompt: int = 320
    canvas: int = 160
    suffix: int = 96
    characters_per_token: int = 6
    inner_drafts: float = 0.6


@dataclass(frozen=True, slots=True)
class Canvas:
    """One group of slots that see each other.

    Attributes:
        targets: what they should become.
        start: what they begin as where there is a draft, else empty: they begin as noised targets.
        positions: where they stand.
        visible: how much of the prompt they see.
    """

    targets: list[int]
    weights: list[float]
    start: list[int]
    positions: list[int]
    visible: int


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt, what the encoder is to write behind it, and the canvases over the prompt."""

    layout: Layout
    canvases: list[Canvas]
    continuation: list[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as tensors; ``[rows, prompt]`` and ``[rows, slots]``.

    Attributes:
        lengths: tokens of each prompt and its continuation [rows].
        start: tokens of a canvas that begins as a draft; −1 where it begins as noised targets.
        group: which canvas a slot belongs to; −1 where there is none.
        visible: prompt tokens that a slot may see.
        weights: of a slot's loss.
    """

    prompt: Tensor
    prompt_positions: Tensor
    lengths: Tensor
    targets: Tensor
    start: Tensor
    positions: Tensor
    group: Tensor
    visible: Tensor
    weights: Tensor

    @property
    def mask(self) -> Tensor:
        """Where a slot may look: booleans [rows, 1, slots, prompt + slots]."""
        columns = torch.arange(self.prompt.shape[1])
        prompt = columns < self.visible.unsqueeze(-1)
        canvas = self.group.unsqueeze(-1) == self.group.unsqueeze(1)
        return torch.cat((prompt, canvas), -1).unsqueeze(1)


class Cutter:
    """Chooses regions in Python source; a seeded random generator decides."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._parser = Parser(Language(tree_sitter_python.language()))

    def cuts(self, text: str, count: int) -> Iterator[list[Span]]:
        """``count`` choices of 1–4 disjoint regions of ``text``, in order, as character offsets."""
        nodes = self._nodes(text)
        for _ in range(count):
            wanted = self._rng.choices((1, 2, 3, 4), (80, 10, 6, 4))[0]
            first = self._one(text, nodes, self._rng.randrange(len(text)))
            spans = [first]
            for _ in range(wanted - 1):  # further regions nearby, so that the first prompt still shows them
                here = min(len(text) - 1, max(0, first[0] + self._rng.randrange(-800, 800)))
                spans.append(self._one(text, nodes, here))
            yield _disjoint(spans)

    def _one(self, text: str, nodes: Sequence[Span], around: int) -> Span:
        kind = self._rng.random()
        if kind < 0.55:
            return self.rest_of_line(text, around)
        if kind < 0.75 and nodes:
            return min(self._rng.sample(nodes, min(8, len(nodes))), key=lambda span: abs(span[0] - around))
        if kind < 0.88:
            return self.whole_lines(text, around)
        return around, min(len(text), around + self._rng.randrange(1, 80))

    def rest_of_line(self, text: str, around: int) -> Span:
        """From a character of the line's code to the line's end; blank lines are passed over."""
        start, end = self.line(text, around)
        indent = len(text[start:end]) - len(text[start:end].lstrip())
        if start + indent >= end:
            return start + indent, end
        return self._rng.randrange(start + indent, end), end

    def whole_lines(self, text: str, around: int) -> Span:
        """One to five lines, from behind the first one's indentation."""
        start, end = self.line(text, around)
        for _ in range(self._rng.choices(range(5), (50, 20, 15, 10, 5))[0]):
            end = self.line(text, min(len(text), end + 1))[1]
        return start + len(text[start:end]) - len(text[start:end].lstrip(" \t")), end

    @staticmethod
    def line(text: str, around: int) -> Span:
        """Start and end (without its newline) of the line that holds an offset."""
        start = text.rfind("\n", 0, around) + 1
        end = text.find("\n", around)
        return start, len(text) if end < 0 else end

    def _nodes(self, text: str) -> list[Span]:
        data = text.encode()
        spans = [span for span in _walk(self._parser.parse(data).root_node) if 1 < span[1] - span[0] < 1200]
        if len(data) == len(text):
            return spans
        return [(len(data[:start].decode()), len(data[:end].decode())) for start, end in spans[:400]]


def _walk(root: Node) -> Iterator[Span]:
    cursor, stack = root, [root]
    while stack:
        cursor = stack.pop()
        if cursor.type in NODE_KINDS:
            yield cursor.start_byte, cursor.end_byte
        stack.extend(cursor.named_children)


def healed(text: str, spans: Sequence[Span]) -> list[Span]:
    """The spans with the stem before each one, as serving has them (`masked.MaskedText.healed`)."""
    starts = [0, *(end for _, end in spans)]
    return [
        (start - len(stem(text[after:start])), end)
        for after, (start, end) in zip(starts, spans, strict=False)
    ]


def _disjoint(spans: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for start, end in sorted(spans):
        if not kept or start > kept[-1][1]:
            kept.append((start, end))
    return kept


class RowMaker:
    """Turns a text with regions into a row."""

    def __init__(self, tokenizer: Tokenizer, shape: Shape, rng: random.Random) -> None:
        self._tokenizer, self._shape, self._rng = tokenizer, shape, rng
        ids = range(tokenizer.vocab_size)
        self._newline = [
            token not in tokenizer.special_ids and b"\n" in tokenizer.token_bytes(token) for token in ids
        ]

    def row(self, text: str, spans: list[Span]) -> Row | None:
        """The row of ``text`` with ``spans`` cut out; None when a region is too long for the canvas."""
        encode = self._tokenizer.encode
        typed, spans = spans, healed(text, spans)
        truths = [encode(text[start:end]) for start, end in spans]
        slots = [self._width(len(truth)) for truth in truths]
        if sum(slots) > self._shape.canvas or any(len(t) >= s for t, s in zip(truths, slots, strict=True)):
            return None
        later = [encode(text[a[1] : b[0]]) for a, b in itertools.pairwise(spans)]
        reach = self._shape.suffix * self._shape.characters_per_token
        end = spans[-1][1]
        later.append(encode(text[end : end + reach])[: self._rng.randrange(8, self._shape.suffix + 1)])
        continuation = [self._tokenizer.write_id, *truths[0], self._tokenizer.end_id]
        room = self._shape.prompt - 1 - sum(map(len, later)) - len(continuation)
        if room < 16:
            return None
        reach = room * self._shape.characters_per_token
        prefix = encode(text[max(0, spans[0][0] - reach) : spans[0][0]])[-room:]
        layout = arrange(self._tokenizer.bos_id, prefix, later, slots)
        canvases = [*self._main(layout, truths, self._drafts(text, typed, spans, slots))]
        canvases += self._inner(
            layout, prefix, text, spans[0][0], self._shape.canvas - sum(map(_size, canvases))
        )
        return Row(layout, canvases, continuation)

    def _drafts(self, text: str, typed: list[Span], spans: list[Span], slots: Sequence[int]) -> list[int]:
        """The drafts of all regions, one behind the other; empty unless every region has one."""
        start: list[int] = []
        for (cursor, end), (begin, _), width in zip(typed, spans, slots, strict=True):
            found = draft(text[:cursor], text[end:])
            if found is None:
                return []
            start += drafted(self._tokenizer, self._tokenizer.encode(text[begin:cursor] + found), width)
        return start

    def _width(self, tokens: int) -> int:
        fitting = bucket(tokens)
        return fitting if self._rng.random() < 0.8 else min(64, 2 * fitting)

    def _main(self, layout: Layout, truths: list[list[int]], start: list[int]) -> Iterator[Canvas]:
        """The canvas of the regions: begun from noise, and from drafts, or from one of them where room is short."""
        targets: list[int] = []
        weights: list[float] = []
        for truth, width in zip(truths, layout.slots, strict=True):
            ids, ws = self._padded(truth, width)
            targets += ids
            weights += ws
        begins = [start, []] if start else [[]]
        if len(targets) * len(begins) > self._shape.canvas:
            begins = [self._rng.choice(begins)]
        for begin in begins:
            yield Canvas(targets, weights, begin, layout.canvas_positions, len(layout.prompt))

    def _padded(self, truth: Sequence[int], width: int) -> tuple[list[int], list[float]]:
        rest = width - len(truth) - 1
        ids = [*truth, self._tokenizer.end_id, *[self._tokenizer.pad_id] * rest]
        return ids, [1.0] * (len(truth) + 1) + [0.1] * rest

    def _inner(self, layout: Layout, prefix: list[int], text: str, cut: int, room: int) -> Iterator[Canvas]:
        width = bucket(0)
        if len(prefix) < 32:
            return
        for _ in range(room // width):
            begin = self._rng.randrange(8, len(prefix) - 8)
            end = next((i for i in range(begin, len(prefix)) if self._newline[prefix[i]]), len(prefix))
            if not 0 < end - begin < width or end == len(prefix):
                continue
            ids, weights = self._padded(prefix[begin:end], width)
            start: list[int] = []
            if self._rng.random() < self._shape.inner_drafts:
                here = cut - len(self._tokenizer.decode_lossy(prefix[begin:]))
                line = [(here, Cutter.line(text, here)[1])]
                start = self._drafts(text, line, line, [width])
            positions = list(range(1 + begin, 1 + begin + width))
            yield Canvas(ids, weights, start, positions, len(layout.prompt) - len(prefix) + begin)


def _size(canvas: Canvas) -> int:
    return len(canvas.targets)


def take(pool: list[Row], count: int) -> list[Row]:
    """Take a batch's rows from a pool: the first ones, and some that make up for their length.

    All batches so take about as long, and processes that train together need not wait for each other.
    """
    left = count * statistics.fmean(map(_tokens, pool))
    taken: list[Row] = []
    for missing in range(min(count, len(pool)), 0, -1):
        wanted = left / missing
        evening = missing <= _EVENING
        index = min(range(len(pool)), key=lambda at: abs(_tokens(pool[at]) - wanted)) if evening else 0
        taken.append(pool.pop(index))
        left -= _tokens(taken[-1])
    return taken


def _tokens(row: Row) -> int:
    return len(row.layout.prompt) + len(row.continuation) + sum(map(_size, row.canvases))


def collate(rows: Sequence[Row], shape: Shape, pad: int) -> Batch:
    """Rows as tensors, padded to ``shape``."""
    prompt = [_fill(row.layout.prompt + row.continuation, shape.prompt, pad) for row in rows]
    positions = [_fill(_prompt_positions(row), shape.prompt, 0) for row in rows]
    slots = [_slots(row.canvases, shape.canvas, pad) for row in rows]
    targets, start, at, group, visible, weights = (
        torch.tensor(column) for column in zip(*slots, strict=True)
    )
    lengths = torch.tensor([len(row.layout.prompt) + len(row.continuation) for row in rows])
    return Batch(
        torch.tensor(prompt), torch.tensor(positions), lengths, targets, start, at, group, visible, weights
    )


def _prompt_positions(row: Row) -> list[int]:
    begin = row.layout.opening_position
    return [*row.layout.prompt_positions, *range(begin, begin + len(row.continuation))]


def _fill(values: list[int], width: int, filler: int) -> list[int]:
    return values + [filler] * (width - len(values))


def _slots(canvases: list[Canvas], width: int, pad: int) -> tuple[list[float], ...]:
    columns: list[list[float]] = [[], [], [], [], [], []]
    for index, canvas in enumerate(canvases):
        size = len(canvas.targets)
        start = canvas.start or [-1] * size
        new: tuple[Sequence[float], ...] = (
            canvas.targets,
            start,
            canvas.positions,
            [index] * size,
            [canvas.visible] * size,
            canvas.weights,
        )
        for column, values in zip(columns, new, strict=True):
            column.extend(values)
    missing = width - len(columns[0])
    fillers = (pad, -1, 0, -1, 1, 0.0)  # a filler sees <bos> and its like, so that its softmax is defined
    return tuple(column + [filler] * missing for column, filler in zip(columns, fillers, strict=True))
