"""Inline completions: while somebody types and when they ask, in files and in notebooks, and where there are none."""

from __future__ import annotations

import json

from tools.answers.command_line import Scenes
from tools.answers.editor import Document, Editor, editing
from tools.answers.outside import Outside
from tools.drivers.wire import Message

PLACES = (
    ("demo_inventory.py", "        for item in "),
    ("demo_inventory.py", "        del "),
    ("demo_inventory.py", "    def value(self) -> float:\n        "),
    ("demo_inventory.py", "            total += item."),
    ("vscode/shop.py", "        return sorted("),
    ("vscode/shop.py", "        self.name = "),
    ("vscode/shop.py", "    price: "),
    ("three_hundred_lines.py", "def "),
    ("plain_utf8.py", "    return "),
    ("crlf_with_tabs.py", "\tfor item in "),
    ("astral_characters.py", 'print(smile, "日本"'),
    ("empty.py", ""),
)
"""A fixture, and what stands before the cursor; the rest of the cursor's line is not written yet."""

MODERN: Message = {
    "general": {"positionEncodings": ["utf-8"]},
    "notebookDocument": {"synchronization": {}},
    "textDocument": {"inlineCompletion": {}},
}

CELLS = ("import math\n\nradius = 2.0", "area = math.pi * radius ** 2\nprint(", "print(area)")


def completions(outside: Outside) -> Scenes:
    for fixture in {fixture for fixture, _ in PLACES}:
        outside.copy(fixture)
    (outside.here / ".gitignore").write_text("generated_*.py\n", "utf-8")
    with editing(lambda: Editor(outside, "utf-8")) as editor:
        editor.greet(MODERN, {"automatic": {"minConfidence": 0.0}}, root=True)
        yield "the model is loaded", editor.start()
        for fixture, before in PLACES:
            yield from _at(editor, fixture.rpartition("/")[2], before)
        yield from _typed_along(editor)
        yield from _taken_over(editor)
        yield from _between_others(editor)
        yield from _in_a_notebook(editor)
        yield from _with_other_settings(editor)
        editor.configure(status=True)
        editor.settle()
        yield from _silences(editor)
        yield "good-bye", {"status": editor.leave()}
    yield "what was counted", json.loads(outside.run("dgemma-lsp", "stats", "--json").stdout)["total"]


def unfinished(editor: Editor, name: str, before: str) -> tuple[Document, int]:
    """A file whose text in the cursor's line ends at the cursor, and the cursor."""
    document = editor.open(name)
    cursor = document.behind(before)
    end = document.text.find("\n", cursor)
    end = len(document.text) if end < 0 else end - (document.text[end - 1] == "\r")
    if end > cursor:
        editor.write(document, cursor, "", end)
    return document, cursor


def _at(editor: Editor, name: str, before: str) -> Scenes:
    document, cursor = unfinished(editor, name, before)
    where = f"{name} behind {before.strip() or 'nothing'}"
    yield f"{where}, typing", editor.complete(document, cursor)
    yield f"{where}, asked", editor.complete(document, cursor, invoked=True)
    editor.close(document)


def _typed_along(editor: Editor) -> Scenes:
    document, cursor = unfinished(editor, "shop.py", "        return sorted(")
    (item,) = editor.complete(document, cursor)["result"]["items"]
    for letter in item["insertText"][:6]:
        editor.write(document, cursor, letter)
        cursor += 1
    yield "six letters typed along", editor.complete(document, cursor)
    editor.write(document, cursor - 2, "", cursor)
    cursor -= 2
    yield "two of them deleted", editor.complete(document, cursor)
    editor.write(document, cursor, "xy")
    yield "two others typed", editor.complete(document, cursor + 2)
    editor.close(document)


def _taken_over(editor: Editor) -> Scenes:
    document, cursor = unfinished(editor, "shop.py", "        return sorted(")
    item = editor.complete(document, cursor, invoked=True)["result"]["items"][0]
    yield (
        "a completion is taken over",
        editor.execute(item["command"]["command"], *item["command"]["arguments"]),
    )
    editor.write(document, cursor, item["insertText"])
    yield "what comes next", editor.complete(document, cursor + len(item["insertText"]))
    editor.close(document)


def _between_others(editor: Editor) -> Scenes:
    """Entries of the editor's own list, and what another open document says."""
    document, cursor = unfinished(editor, "demo_inventory.py", "            total += item.")
    replaced = editor.range(document, cursor, cursor)
    chosen = {"range": replaced, "text": "price"}
    yield "with a selected entry", editor.complete(document, cursor, chosen=chosen)
    other = editor.open(
        "other.py", "def cheapest(items):\n    return min(items, key=lambda item: item.price)\n"
    )
    text = "def cheapest_of_all(items):\n    return min("
    fresh = editor.open("fresh.py", text)
    yield "with another document open", editor.complete(fresh, len(text), invoked=True)
    for one in (document, other, fresh):
        editor.close(one)


def _in_a_notebook(editor: Editor) -> Scenes:
    cells = [Document(f"notebook-cell:/here/sums.ipynb#{number}", text) for number, text in enumerate(CELLS)]
    items = [{"uri": one.uri, "languageId": "python", "version": 1, "text": one.text} for one in cells]
    notebook = {
        "uri": "file:///here/sums.ipynb",
        "notebookType": "jupyter-notebook",
        "version": 1,
        "cells": [{"kind": 2, "document": one.uri} for one in cells],
    }
    opened = {"notebookDocument": notebook, "cellTextDocuments": items}
    editor.client.notify("notebookDocument/didOpen", opened)
    cell = cells[1]
    yield "a cell of a notebook", editor.complete(cell, len(cell.text), invoked=True)
    _change_cell(editor, cell, len(cell.text), "ma")
    yield "the cell has changed", editor.complete(cell, len(cell.text), invoked=True)
    closed = {
        "notebookDocument": {"uri": notebook["uri"]},
        "cellTextDocuments": [{"uri": one.uri} for one in cells],
    }
    editor.client.notify("notebookDocument/didClose", closed)
    yield "the notebook is closed", editor.complete(cell, 0, invoked=True)


def _change_cell(editor: Editor, cell: Document, at: int, text: str) -> None:
    change = {"range": editor.range(cell, at, at), "text": text}
    cell.text = cell.text[:at] + text + cell.text[at:]
    content = {"document": {"uri": cell.uri, "version": 2}, "changes": [change]}
    params = {
        "notebookDocument": {"uri": "file:///here/sums.ipynb", "version": 2},
        "change": {"cells": {"textContent": [content]}},
    }
    editor.client.notify("notebookDocument/didChange", params)


def _with_other_settings(editor: Editor) -> Scenes:
    document, cursor = unfinished(editor, "demo_inventory.py", "            total += item.")
    editor.configure(alternatives=8, seed=5, steps=2)
    yield "eight alternatives of another seed", editor.complete(document, cursor, invoked=True)
    editor.configure(automatic={"minConfidence": 1})
    yield "nothing is sure enough", editor.complete(document, cursor)
    editor.close(document)
    editor.configure()
    editor.settle()


def _silences(editor: Editor) -> Scenes:
    """Where nothing comes, with the status that tells why."""
    document = editor.open("shop.py")
    yield "inside of a word", editor.complete(document, document.behind("class Inv"), invoked=True)
    indentation = document.behind("class Inventory:\n  ")
    yield "inside of the indentation", editor.complete(document, indentation)
    state = {"uri": document.uri, "selecting": True, "readOnly": False}
    editor.client.notify("dgemma/editorState", state)
    cursor = document.behind("return sorted(self.items)")
    yield "while something is selected", editor.complete(document, cursor)
    yield "asked for while something is selected", editor.complete(document, cursor, invoked=True)
    editor.client.notify("dgemma/editorState", {"uri": document.uri, "selecting": False, "readOnly": True})
    yield "in a document that cannot be changed", editor.complete(document, cursor, invoked=True)
    yield "in a document that is not open", editor.complete(Document("file:///nowhere.py", ""), 0)
    yield from _left_alone(editor)


def _left_alone(editor: Editor) -> Scenes:
    text = "token = "
    for name, path, language, uri in (
        ("in a document that the setting excludes", ".env.py", "python", ""),
        ("in a document that the workspace ignores", "generated_names.py", "python", ""),
        ("in a language that the settings do not name", "token.rb", "ruby", ""),
        ("in an old version that is only shown", "old.py", "python", "git:/here/old.py"),
    ):
        document = editor.open(path, text, language, uri)
        yield name, editor.complete(document, len(text), invoked=True)
        yield f"code actions {name}", editor.actions(document, 0, len(text))
        yield f"proofreading {name}", editor.execute("dgemma.proofread", document.uri)
