"""The line around a cursor: its two halves, its indentation, and whether there is anything on it."""

from __future__ import annotations


def line_around(text: str, cursor: int) -> tuple[str, str]:
    """Return the cursor's line before and after the cursor, without its line break."""
    start = max(text.rfind("\n", 0, cursor), text.rfind("\r", 0, cursor)) + 1
    ends = [end for line_break in "\r\n" if (end := text.find(line_break, cursor)) >= 0]
    return text[start:cursor], text[cursor : min(ends, default=len(text))]


def indentation(text: str, offset: int) -> str:
    """Return the blanks at the start of the line around an offset."""
    before, after = line_around(text, offset)
    line = before + after
    return line[: len(line) - len(line.lstrip())]


def deeper(indentation: str) -> str:
    """Return the indentation one level further in: by a tab where there are tabs, else by four spaces."""
    return indentation + ("\t" if "\t" in indentation else "    ")


def column(text: str, offset: int) -> int:
    """Return how many characters of its line are before an offset."""
    return len(line_around(text, offset)[0])


def is_on_blank_line(text: str, cursor: int) -> bool:
    """Return whether the cursor's line is empty or all blanks."""
    before, after = line_around(text, cursor)
    return is_blank(before + after)


def is_blank(text: str) -> bool:
    """Return whether a text is empty or all blanks."""
    return not text or text.isspace()
