"""Where the user is → the regions that may change.

Pure functions on text. A completion is always an *insertion point*: the model sees what stands behind the cursor, so it
need not write it again, and nothing there can be lost or doubled. A selection is what the user has marked, less the
blanks around it, so that indentation and line breaks stay as they are whatever the model writes. Everything else is
found in the syntax around the cursor; where the syntax is not known, or too broken to tell, there is nothing to find.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from itertools import islice

from dgemma_lsp.text import syntax
from dgemma_lsp.text.edits import in_document_newlines
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.syntax import Documentation, Excerpt, Language, Markers, Node, Place

MOST_HOLES = 16
"""That are filled together: more would not fit into a canvas."""


class Silence(Enum):
    """Why there is no region at a cursor."""

    LANGUAGE = "the setting languages does not name the language of the document"
    IN_WORD = "the cursor is inside of a word"
    IN_INDENTATION = "the cursor is inside of the indentation of a line that is there already"


def completion_region(text: str, cursor: int) -> Region | Silence:
    """The insertion point for what could come next at a cursor, or why none should.

    Args:
        text: the document.
        cursor: a character offset.
    """
    if text[cursor - 1 : cursor + 1] == "\r\n":
        cursor -= 1
    before, after = _line_around(text, cursor)
    if _is_word(before[-1:]) and _is_word(after[:1]):
        return Silence.IN_WORD
    if _is_blank(before) and after[:1].isspace() and not _is_blank(after):
        return Silence.IN_INDENTATION
    return Region(cursor, cursor)


def selection_region(text: str, start: int, end: int) -> Region | None:
    """The region of a selection without the blanks around it; None when nothing is left.

    Args:
        text: the document.
        start: a character offset.
        end: a character offset, not before ``start``.
    """
    selected = text[start:end]
    if _is_blank(selected):
        return None
    start += len(selected) - len(selected.lstrip())
    end -= len(selected) - len(selected.rstrip())
    return Region(start, end)


def stays_in_line(text: str, region: Region, language: str | None = None, markers: Markers = ()) -> bool:
    """Whether a region is to be filled with no more than a line: where one stands now, or a line is being written.

    On an empty line behind a colon or a brace a whole block may follow, unless these stand in a string or a comment;
    and so it may where a placeholder stands alone.

    Args:
        text: the document.
        region: of it.
        language: as editors call it.
        markers: what stands for something to be filled in, beside what everybody may use.
    """
    inside = text[region.start : region.end]
    if "\n" in inside or "\r" in inside:
        return False
    before, after = _line_around(text, region.start)[0], _line_around(text, region.end)[1]
    if not _is_blank(before) or not _is_blank(after.removeprefix(";")):
        return True
    if inside:
        return inside not in markers and not _alone().search(inside)
    last = len(text[: region.start].rstrip()) - 1
    return text[last : last + 1] not in (":", "{") or _is_quiet(text, language, last)


def _is_quiet(text: str, language: str | None, at: int) -> bool:
    """Whether a character stands in a string or a comment."""
    known = syntax.find(language)
    if known is None:
        return False
    excerpt = next(syntax.excerpts(text, known, Region(at, at)))
    return _stands_in(excerpt, at, known.strings | known.comments)


# What the user may ask for


class Action(Enum):
    """A wish, as it is shown to the user."""

    REWRITE = "Rewrite selection"
    REWRITE_GENTLY = "Rewrite selection gently"
    REWRITE_ANEW = "Rewrite selection from scratch"
    INSTRUCT = "Rewrite selection with an instruction…"
    FILL_FILE = "Fill all holes in this file"
    FILL_FUNCTION = "Fill all holes in this function"
    COMPLETE_BLOCK = "Complete this block"
    SUGGEST_ARGUMENTS = "Suggest arguments"
    DOCUMENT = "Write docstring and body"


@dataclass(frozen=True, slots=True)
class Frame:
    """A region, and fixed text around it that does not stand in the document yet."""

    region: Region
    before: str = ""
    after: str = ""


def offered(
    text: str, language: str | None, selected: Region, markers: Markers | None = None
) -> list[Action]:
    """The wishes that make sense where the user is.

    Args:
        text: the document.
        language: as editors call it.
        selected: the selection; empty at a cursor.
        markers: None: the one that everybody may use.
    """
    return [action for action in Action if _applies(action, text, language, selected, markers)]


def frames(
    action: Action, text: str, language: str | None, selected: Region, markers: Markers | None = None
) -> tuple[Frame, ...]:
    """What is to be filled, in order; nothing where the action makes no sense. For the arguments see `offered`."""
    cursor, markers = selected.start, _chosen(markers)
    match action:
        case Action.REWRITE | Action.REWRITE_GENTLY | Action.REWRITE_ANEW:
            return _frame(selection_region(text, selected.start, selected.end))
        case Action.FILL_FILE:
            return tuple(map(Frame, holes(text, language, None, markers)))
        case Action.FILL_FUNCTION:
            function = enclosing_function(text, language, cursor, markers)
            return tuple(map(Frame, holes(text, language, function, markers))) if function else ()
        case Action.COMPLETE_BLOCK:
            block = unfinished_block(text, language, cursor, markers)
            return (_on_lines_of_its_own(text, block),) if block else ()
        case Action.SUGGEST_ARGUMENTS:
            return _frame(arguments_region(text, language, cursor, markers))
        case Action.DOCUMENT:
            return docstring_and_body(text, language, cursor, markers) or ()
        case Action.INSTRUCT:  # there is no engine that could
            return ()


def framed(text: str, wanted: Sequence[Frame]) -> tuple[str, tuple[Region, ...]]:
    """The text with its frames in place, and their regions in it."""
    parts: list[str] = []
    regions: list[Region] = []
    copied = length = 0
    for frame in wanted:
        region = frame.region
        start = length + region.start - copied + len(frame.before)
        regions.append(Region(start, start + region.end - region.start))
        length = regions[-1].end + len(frame.after)
        parts += text[copied : region.start], frame.before, text[region.start : region.end], frame.after
        copied = region.end
    return "".join([*parts, text[copied:]]), tuple(regions)


def _applies(
    action: Action, text: str, language: str | None, selected: Region, markers: Markers | None
) -> bool:
    if action is Action.FILL_FILE:  # it is enough to find one
        everywhere = Region(0, len(text))
        found = _holes(text, syntax.find(language), everywhere, _chosen(markers))
        return any(True for _ in found)
    # Who has selected something means just that.
    at_cursor = action in (Action.COMPLETE_BLOCK, Action.SUGGEST_ARGUMENTS, Action.DOCUMENT)
    if at_cursor and selected.start < selected.end:
        return False
    return bool(frames(action, text, language, selected, markers))


def _frame(region: Region | None) -> tuple[Frame, ...]:
    return (Frame(region),) if region else ()


# Placeholders


def holes(
    text: str, language: str | None, within: Region | None = None, markers: Markers | None = None
) -> list[Region]:
    """The placeholders, in order and apart from each other, `MOST_HOLES` at most.

    Args:
        text: the document.
        language: as editors call it; in one that we do not know only markers are placeholders.
        within: where to look.
        markers: None: the one that everybody may use.
    """
    found = _holes(text, syntax.find(language), within or Region(0, len(text)), _chosen(markers))
    return list(islice(_apart(found), MOST_HOLES))


def _chosen(markers: Markers | None) -> Markers:
    return (syntax.marker(),) if markers is None else markers


def _holes(text: str, language: Language | None, within: Region, markers: Markers) -> Iterator[Region]:
    """In order, perhaps one inside of the other."""
    words = (*markers, *(language.hints if language else ()))
    if not words:
        return
    hints = re.compile("|".join(map(re.escape, words)))
    at = within.start
    # A long text is parsed from hint to hint, and no farther than somebody wants to know.
    while hint := hints.search(text, at, within.end):
        end, found = _holes_near(text, language, hint.start(), markers)
        yield from sorted(
            (one for one in found if at <= one.start and one.end <= within.end),
            key=lambda one: (one.start, -one.end),
        )
        at = max(end, hint.end())


def _holes_near(text: str, language: Language | None, at: int, markers: Markers) -> tuple[int, list[Region]]:
    """The placeholders around a place, and how far they have been looked for."""
    if language is None:
        return len(text), _markers(text, Region(0, len(text)), markers)
    excerpt = next(syntax.excerpts(text, language, Region(at, at), markers))
    found = [*_markers(text, excerpt.body, markers), *_placeholders(excerpt)]
    for node, inner in _fences(excerpt):
        inside = holes(text[node.start : node.end], inner, None, markers)
        found += [_shifted(region, node.start) for region in inside]
    return excerpt.body.end, found


def _markers(text: str, within: Region, markers: Markers) -> list[Region]:
    if not markers:
        return []
    marked = re.compile("|".join(map(re.escape, markers))).finditer(text, within.start, within.end)
    return [Region(*one.span()) for one in marked]


def _placeholders(excerpt: Excerpt) -> list[Region]:
    kept = [node for name, node in excerpt.captures(excerpt.language.kept) if name == "kept"]
    found = [node for name, node in excerpt.captures(excerpt.language.holes) if name == "hole"]
    return [
        node.region
        for node in found
        if not any(one.start <= node.start and node.end <= one.end for one in kept)
    ]


def _apart(regions: Iterable[Region]) -> Iterator[Region]:
    end = -1
    for region in regions:
        if region.start >= end:
            yield region
            end = region.end


# To be proofread


def quiet_regions(text: str, language: str | None, markers: Markers | None = None) -> list[Region]:
    """Strings and comments, in order and apart from each other; nothing in a language that we do not know."""
    known = syntax.find(language)
    if known is None:
        return []
    *_, whole = syntax.excerpts(text, known, Region(0, len(text)), _chosen(markers))
    query = " ".join(f"({kind}) @quiet" for kind in sorted(known.strings | known.comments))
    found = sorted((node.region for _, node in whole.captures(query)), key=lambda one: (one.start, -one.end))
    return list(_apart(found))


def lines_to_read(text: str, quiet: Sequence[Region]) -> list[Region]:
    """The lines without the blanks around them, but for those that are quiet as a whole.

    Args:
        text: with LF line endings.
        quiet: in order and apart from each other.
    """
    found, starts = [], [region.start for region in quiet]
    for line in re.finditer(r"[^\s\n](?:[^\n]*[^\s\n])?", text):
        around = bisect_right(starts, line.start()) - 1
        if around < 0 or quiet[around].end < line.end():
            found.append(Region(*line.span()))
    return found


# At a cursor


def enclosing_function(
    text: str, language: str | None, cursor: int, markers: Markers | None = None
) -> Region | None:
    """The innermost function around a cursor."""
    return _region_at(text, language, cursor, _function, _chosen(markers))


def arguments_region(
    text: str, language: str | None, cursor: int, markers: Markers | None = None
) -> Region | None:
    """What stands between the parentheses of the call whose arguments the cursor is in."""
    return _region_at(text, language, cursor, _arguments, _chosen(markers))


def block_region(
    text: str, language: str | None, cursor: int, markers: Markers | None = None
) -> Region | None:
    """The body of the innermost statement around a cursor that has one; an insertion point where it is empty."""
    return _region_at(text, language, cursor, _block, _chosen(markers))


def unfinished_block(
    text: str, language: str | None, cursor: int, markers: Markers | None = None
) -> Region | None:
    """What is missing in the block at a cursor: all of it, its only placeholder, or more at an empty line.

    Statements that stand there stay.
    """
    block = block_region(text, language, cursor, markers)
    if block is None or _is_blank(text[block.start : block.end]):
        return block
    inside = holes(text, language, block, markers)
    if len(inside) == 1:
        return inside[0]
    return Region(cursor, cursor) if _on_empty_line(text, cursor) else None


def docstring_and_body(
    text: str, language: str | None, cursor: int, markers: Markers | None = None
) -> tuple[Frame, Frame] | None:
    """The documentation of the function around a cursor, which may be missing, and its body."""
    answer = _at(text, language, cursor, _documented, _chosen(markers))
    if answer is None:
        return None
    first, second = (replace(frame, region=_shifted(frame.region, answer.shift)) for frame in answer.found)
    return first, second


@dataclass(frozen=True, slots=True)
class _Answer:
    """Frames, and the node that tells; all in a text that begins ``shift`` characters behind the document."""

    node: Node
    found: tuple[Frame, ...]
    shift: int = 0


_Question = Callable[[Excerpt, int], _Answer | None]


def _region_at(
    text: str, language: str | None, cursor: int, question: _Question, markers: Markers
) -> Region | None:
    answer = _at(text, language, cursor, question, markers)
    return _shifted(answer.found[0].region, answer.shift) if answer else None


def _at(
    text: str, language: str | None, cursor: int, question: _Question, markers: Markers
) -> _Answer | None:
    """The answer to a question about a cursor; asked again with more of the text as long as it may be cut off."""
    known, shift = syntax.find(language), 0
    if known is not None and known.fences:
        known, within = _fence_at(text, known, cursor)
        text, cursor, shift = text[within.start : within.end], cursor - within.start, within.start
    if known is None:
        return None
    for turn, excerpt in enumerate(syntax.excerpts(text, known, Region(cursor, cursor), markers)):
        answer = question(excerpt, cursor)
        # Where something does not parse, the excerpt may have been cut badly: a larger one is worth one attempt.
        mistrusted = turn == 0 and not excerpt.whole and (answer.node if answer else excerpt.root).broken
        if not mistrusted and (answer is None or excerpt.holds(answer.node)):
            return answer and replace(answer, shift=shift)
    return None


def _fence_at(text: str, language: Language, cursor: int) -> tuple[Language | None, Region]:
    excerpt = next(syntax.excerpts(text, language, Region(cursor, cursor)))
    for node, inner in _fences(excerpt):
        if node.start <= cursor <= node.end:
            return syntax.find(inner), node.region
    return None, Region(0, len(text))


def _fences(excerpt: Excerpt) -> Iterator[tuple[Node, str]]:
    """The texts in other languages, and what these are called there."""
    language = excerpt.language
    for kind in language.fences:
        for _, fence in excerpt.captures(f"({kind}) @fence"):
            inside = {node.kind: node for child in fence.named for node in (child, *child.named)}
            name, content = inside.get(language.fence_language), inside.get(language.fence_text)
            if name and content:
                yield content, excerpt.text[name.start : name.end]


def _around(excerpt: Excerpt, cursor: int) -> Iterator[Node]:
    """The nodes around a cursor, innermost first."""
    anchor, column = _anchor(excerpt, cursor)
    node: Node | None = excerpt.at(anchor)
    while node is not None:
        # Blocks that end by indentation end before an empty line; its indentation tells which of them it continues.
        if node.end >= cursor or _column(excerpt.text, node.start) < column:
            yield node
        node = node.parent


def _anchor(excerpt: Excerpt, cursor: int) -> tuple[int, int]:
    """The character that stands for a cursor, and the column that nodes which have ended must begin before."""
    text, anywhere = excerpt.text, len(excerpt.text)
    before, after = _line_around(text, cursor)
    if not _is_blank(before + after):
        # Behind the last word of a line the user is still in what ends there.
        if not _is_blank(before) and (_is_blank(after) or not before[-1].isspace()):
            return len(text[:cursor].rstrip()) - 1, anywhere
        return cursor + (len(after) - len(after.lstrip()) if _is_blank(before) else 0), anywhere
    if not excerpt.language.indented:
        return cursor, anywhere
    return max(0, len(text[:cursor].rstrip()) - 1), len(before)


def _function(excerpt: Excerpt, cursor: int) -> _Answer | None:
    for node in _around(excerpt, cursor):
        if node.kind in excerpt.language.functions:
            return _Answer(node, (Frame(node.region),))
    return None


def _arguments(excerpt: Excerpt, cursor: int) -> _Answer | None:
    quiet = excerpt.language.strings | excerpt.language.comments
    for node in _around(excerpt, cursor):
        if node.kind in quiet and node.start < cursor < node.end:
            return None
        if node.kind in excerpt.language.arguments and excerpt.text[node.start] == "(":
            inside = _without_brackets(node)
            if inside.start <= cursor <= inside.end:
                region = selection_region(excerpt.text, inside.start, inside.end)
                return _Answer(node, (Frame(region or Region(cursor, cursor)),))
    return None


def _block(excerpt: Excerpt, cursor: int) -> _Answer | None:
    for node in _around(excerpt, cursor):
        if node.kind in excerpt.language.functions | excerpt.language.statements:
            if block := _body(excerpt, node, cursor):
                return _Answer(node, (Frame(_interior(excerpt.text, block, cursor)),))
            # Some grammars have no node for a body without statements.
            if _on_empty_line(excerpt.text, cursor) and node.start < cursor < node.end:
                return _Answer(node, (Frame(Region(cursor, cursor)),))
    return None


def _body(excerpt: Excerpt, statement: Node, cursor: int) -> Node | None:
    """Of several blocks the one around the cursor, else the first."""
    blocks = [node for node in statement.named if node.kind in excerpt.language.blocks]
    around = [node for node in blocks if node.start <= cursor <= node.end]
    return next(iter(around or blocks), None)


def _interior(text: str, block: Node, cursor: int) -> Region:
    inside = _without_brackets(block)
    return selection_region(text, inside.start, inside.end) or _gap(text, inside, cursor)


def _without_brackets(node: Node) -> Region:
    children = node.children or [node]
    first, last = children[0], children[-1]
    start = first.end if first.kind in ("(", "[", "{", "do", "then") else node.start
    closed = last.kind in (")", "]", "}", "end", "done") and not last.missing
    return Region(start, max(start, last.start if closed else node.end))


def _on_lines_of_its_own(text: str, block: Region) -> Frame:
    """A block to be begun behind a colon or between braces gets its line."""
    before, after = _line_around(text, block.start)
    closed = after.lstrip().startswith("}")
    if (
        block.start < block.end
        or not (_is_blank(after) or closed)
        or not before.rstrip().endswith((":", "{"))
    ):
        return Frame(block)
    indentation = _line_indentation(text, block.start)
    outer, inner = (
        in_document_newlines("\n", text, block) + one for one in (indentation, _deeper(indentation))
    )
    return Frame(block, inner, outer if closed else "")


def _gap(text: str, blank: Region, cursor: int) -> Region:
    """Where to write in a block without anything: where the user is, else on its first empty line."""
    follows = blank.start <= cursor and _is_blank(text[blank.start : cursor])
    if follows and (cursor <= blank.end or _on_empty_line(text, cursor)):
        return Region(cursor, cursor)
    first, second = text.find("\n", blank.start, blank.end), text.rfind("\n", blank.start, blank.end)
    at = second - (text[second - 1] == "\r") if first < second else blank.start
    return Region(at, at)


# Documentation


def _documented(excerpt: Excerpt, cursor: int) -> _Answer | None:
    documentation = excerpt.language.documentation
    for node in _around(excerpt, cursor):
        if node.kind in excerpt.language.functions and (body := _body(excerpt, node, cursor)):
            if documentation is None:
                return None
            if documentation.place is Place.BODY:
                found = _documented_inside(excerpt, body, cursor, documentation)
            else:
                found = _documented_above(excerpt, node, body, cursor, documentation)
            return found and _Answer(node, found)
    return None


def _documented_inside(
    excerpt: Excerpt, body: Node, cursor: int, written: Documentation
) -> tuple[Frame, Frame] | None:
    text = excerpt.text
    line_break = in_document_newlines("\n", text, Region(body.start, body.start)) + _inner(text, body)
    statements = body.named
    if statements and statements[0].kind in excerpt.language.strings:
        return _with_docstring(statements, body, line_break)
    inside = _interior(text, body, cursor)
    opening, closing = written.opening, written.closing
    if body.start < body.end:
        # The body may stand behind the colon.
        own_line = _is_blank(_line_around(text, body.start)[0])
        lead = "" if own_line else line_break
        return Frame(Region(body.start, body.start), lead + opening, closing + line_break), Frame(inside)
    if inside.start == body.start:
        return None
    return Frame(Region(body.start, body.start), line_break + opening, closing), Frame(inside)


def _with_docstring(statements: Sequence[Node], body: Node, line_break: str) -> tuple[Frame, Frame]:
    docstring, *others = statements
    quotes = docstring.children
    text = Frame(Region(quotes[0].end, quotes[-1].start))
    if others:
        return text, Frame(Region(others[0].start, body.end))
    return text, Frame(Region(body.end, body.end), before=line_break)


def _documented_above(
    excerpt: Excerpt, function: Node, body: Node, cursor: int, written: Documentation
) -> tuple[Frame, Frame] | None:
    text = excerpt.text
    indentation = _line_indentation(text, function.start)
    at = function.start - _column(text, function.start) + len(indentation)
    above = len(text[:at].rstrip())
    if above and _stands_in(excerpt, above - 1, excerpt.language.comments):
        return None  # it has one already, and how much of it is documentation nobody knows
    line_break = in_document_newlines("\n", text, Region(at, at)) + indentation
    comment = Frame(Region(at, at), written.opening, written.closing + line_break)
    return comment, Frame(_interior(text, body, cursor))


def _stands_in(excerpt: Excerpt, at: int, kinds: frozenset[str]) -> bool:
    """Whether a character is part of a node of one of some kinds."""
    node: Node | None = excerpt.at(at)
    while node is not None and not (node.kind in kinds and node.start <= at < node.end):
        node = node.parent
    return node is not None


def _inner(text: str, body: Node) -> str:
    """The indentation of a body, which need not stand on a line of its own."""
    indentation = _line_indentation(text, body.start)
    if body.start < body.end and _column(text, body.start) == len(indentation):
        return indentation
    return _deeper(indentation)


# Lines


def _line_indentation(text: str, offset: int) -> str:
    before, after = _line_around(text, offset)
    line = before + after
    return line[: len(line) - len(line.lstrip())]


def _deeper(indentation: str) -> str:
    return indentation + ("\t" if "\t" in indentation else "    ")


def _column(text: str, offset: int) -> int:
    return len(_line_around(text, offset)[0])


def _on_empty_line(text: str, cursor: int) -> bool:
    before, after = _line_around(text, cursor)
    return _is_blank(before + after)


def _shifted(region: Region, by: int) -> Region:
    return Region(region.start + by, region.end + by)


def _line_around(text: str, cursor: int) -> tuple[str, str]:
    """The cursor's line before and behind the cursor, without its line break."""
    start = max(text.rfind("\n", 0, cursor), text.rfind("\r", 0, cursor)) + 1
    ends = [found for line_break in "\r\n" if (found := text.find(line_break, cursor)) >= 0]
    return text[start:cursor], text[cursor : min(ends, default=len(text))]


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


@cache
def _alone() -> re.Pattern[str]:
    """A placeholder without anything else; of no language in particular."""
    return re.compile(
        rf"^(\.\.\.|pass|{re.escape(syntax.marker())})$|not (yet )?implemented|NotImplemented|UnsupportedOperation"
        r"|todo!|unimplemented!|TODO|FIXME",
        re.IGNORECASE,
    )
