"""What the network reads of a document: laid out, encoded, and opened for its first region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dgemma_model.fill.pieces import Pieces
from dgemma_model.guess.encoder import Opening
from dgemma_model.guess.ngrams import CONTEXT
from dgemma_model.guess.renaming import Renamer
from dgemma_model.guess.token_copies import LONGEST, Copier, Document, packed
from dgemma_model.layouts.infill import BUCKETS, Budget, Layout, lay_out
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.network.prompt_cache import PromptCache
from dgemma_model.network.runner import Prompt, Runner
from dgemma_model.syntax.statements import Borders
from dgemma_model.tokenizer import Tokenizer

_REACH_BEFORE, _REACH_BEHIND = 60_000, 30_000
"""Characters before and behind region 1 from which single tokens may be copied, at least."""

_BLOCK = (
    16_384  # characters: a long text before region 1 loses whole blocks, so that its beginning rarely moves
)
_RENAMED = 6  # similar places that are said with the names used here
_AHEAD = "0" * 8  # digits are tokens by themselves: as much as somebody may type until the next request
_PIECE = 64  # tokens encoded ahead before looking whether somebody waits


class Opened(NamedTuple):
    """A region that the encoder can go on with.

    Attributes:
        prompt: the encoded text around it.
        opening: what is known of it.
        renamings: texts that may be copied although they stand nowhere; see `Renamer`.
        encoded: tokens that had to be encoded.
    """

    prompt: Prompt
    opening: Opening
    renamings: Sequence[str]
    encoded: int


class Prompts:
    """Lays out and encodes documents. It remembers much of them, so one object serves all requests.

    Attributes:
        pieces: encodes texts.
    """

    def __init__(self, runner: Runner, tokenizer: Tokenizer, budget: Budget) -> None:
        self._runner, self._tokenizer, self._budget = runner, tokenizer, budget
        self._cache, self._borders, self._renamer = PromptCache(runner), Borders(), Renamer()
        self.pieces = Pieces(tokenizer)

    def lay_out(self, healed: MaskedText, slots: Sequence[int]) -> Layout:
        """Lay out a healed document with regions of these widths."""
        return lay_out(healed, slots, self._tokenizer, self._budget, self._borders)

    def encode(self, layout: Layout) -> tuple[Prompt, int]:
        """Encode a prompt, and count the tokens that had to be encoded; it is valid until the next call."""
        return self._cache.encode(layout.prompt, layout.prompt_positions)

    def kept(self, prompt: Prompt) -> Prompt:
        """Copy a prompt, so that it outlasts the next call of `encode`."""
        copy = self._runner.prompt()
        copy.copy(prompt, prompt.length)
        return copy

    def open(
        self,
        healed: MaskedText,
        single_line: bool,
        context: Sequence[str] = (),
        slots: Sequence[int] | None = None,
    ) -> Opened:
        """Encode a healed document, and look up what may be copied into its first region.

        Args:
            healed: the document.
            single_line: whether region 1 ends with its first line.
            context: texts from elsewhere that something may be copied from.
            slots: width of each region; the narrowest for all by default.
        """
        layout = self.lay_out(healed, slots or [BUCKETS[0]] * len(healed.present))
        prompt, encoded = self.encode(layout)
        first, stem = healed.segments[0], healed.stems[0]
        later = [text[:_REACH_BEHIND] for text in healed.segments[1:]]
        elsewhere = (*later, *context)
        prefix = self.pieces.long(first[max(0, len(first) - _REACH_BEFORE) // _BLOCK * _BLOCK :])
        renamings = self._renamer.renamings(first[-_REACH_BEFORE:] + stem, "\n".join(elsewhere), _RENAMED)
        renamed = (packed(self._tokenizer.encode(text)) for text in renamings)
        document = Document([prefix, *map(self.pieces.long, elsewhere), *renamed])
        last = prefix[-LONGEST:].tolist()
        copier, before = Copier.behind(document, last), tuple(last[-CONTEXT:])
        opening = Opening(layout.opening_position, copier, stem.encode(), single_line, before)
        return Opened(prompt, opening, renamings, encoded)

    def anticipate(self, masked: MaskedText, idle: Callable[[], bool]) -> None:
        """Encode what the next keystrokes at region 1 will make necessary, apart from the keystrokes themselves.

        The text behind the region moves, and the prefix loses its beginning, once in some dozens of tokens; then the
        whole prompt has to be encoded. If that is done between two requests, nobody waits for it.

        Args:
            masked: the document as it was filled last.
            idle: asked now and then; the work stops when it answers False.
        """
        prefix, *others = masked.healed().segments
        later = MaskedText((prefix + _AHEAD, *others), masked.present)
        layout = self.lay_out(later, [BUCKETS[0]] * len(masked.present))
        prompt, positions = layout.prompt[: -len(_AHEAD)], layout.prompt_positions[: -len(_AHEAD)]
        done = self._cache.known(prompt, positions)
        while done < len(prompt) and idle():
            done = min(len(prompt), done + _PIECE)
            self._cache.encode(prompt[:done], positions[:done])
