"""Code actions: what is offered where, the edits behind the offers with their drafts, and proofreading."""

from __future__ import annotations

from tools.answers.command_line import Scenes
from tools.answers.editor import Document, Editor, editing
from tools.answers.outside import Outside
from tools.drivers.wire import Message

ACTING: Message = {"dataSupport": True, "disabledSupport": True, "resolveSupport": {"properties": ["edit"]}}

MODERN: Message = {
    "general": {"positionEncodings": ["utf-8"]},
    "workspace": {"workspaceEdit": {"documentChanges": True, "changeAnnotationSupport": {}}},
    "textDocument": {"inlineCompletion": {}, "codeAction": ACTING},
}

OLDER: Message = {
    "textDocument": {"codeAction": {"resolveSupport": {"properties": ["edit"]}}},
    "experimental": {"dgemmaStatus": True},
}

UNDOCUMENTED = """\
def average(numbers):
    ...


def largest(first, second):
    return max()


def count_words(text):
"""

MISTAKEN = """\
def total(items):
    result = 0
    for item in items:
        reslt += item.price
    return result


def mean(items):
    # A comment whith a mistake is not read.
    return total(item) / len(items)
"""


def code_actions(outside: Outside) -> Scenes:
    for fixture in ("tour/inventory.py", "vscode/holes.py", "vscode/shop.py", "crlf_with_tabs.py"):
        outside.copy(fixture)
    with editing(lambda: Editor(outside, "utf-8")) as editor:
        editor.greet(MODERN)
        editor.start()
        yield from _holes(editor)
        yield from _at_cursors(editor)
        yield from _selections(editor)
        yield from _changed_meanwhile(editor)
        yield from _filtered(editor)


def _holes(editor: Editor) -> Scenes:
    document = editor.open("inventory.py")
    cursor = document.behind("for item in ")
    yield "holes that are marked", editor.resolved(document, cursor, cursor)
    document = editor.open("holes.py")
    cursor = document.behind("def one():\n    ")
    yield "holes as Python has them", editor.resolved(document, cursor, cursor)
    offers = editor.actions(document, cursor, cursor)["result"]
    yield "the drafts of a fill", editor.take_up(offers[0], drafts=True)
    editor.close(document)


def _at_cursors(editor: Editor) -> Scenes:
    document = editor.open("undocumented.py", UNDOCUMENTED)
    for name, before in (
        ("a function that is to be written", "def average(numbers):\n    "),
        ("a call without arguments", "max("),
        ("a function without a body", "def count_words(text):"),
    ):
        cursor = document.behind(before)
        yield name, editor.resolved(document, cursor, cursor)
    editor.close(document)


def _selections(editor: Editor) -> Scenes:
    document = editor.open("shop.py")
    start = document.text.index("self.items[name] = self.items")
    yield "a statement is selected", editor.resolved(document, start, document.text.index("\n", start))
    start, end = document.text.index("    def value"), document.text.index("    def names")
    yield "a method is selected", editor.resolved(document, start, end)
    editor.close(document)
    document = editor.open("crlf_with_tabs.py")
    start = document.text.index("for item")
    yield "lines that end in CR LF are selected", editor.resolved(document, start, document.behind("+= item"))
    editor.close(document)


def _changed_meanwhile(editor: Editor) -> Scenes:
    document = editor.open("shop.py")
    start = document.text.index("self.items[name] = self.items")
    offers = editor.actions(document, start, document.text.index("\n", start))["result"]
    editor.write(document, 0, "# A new line.\n")
    yield "something else was typed meanwhile", editor.take_up(offers[0])
    start = document.text.index("self.items[name] = self.items")
    editor.write(document, start + 5, "all_")
    yield "the selection was changed meanwhile", editor.take_up(offers[0])
    editor.close(document)
    yield "the document was closed meanwhile", editor.take_up(offers[0])


def _filtered(editor: Editor) -> Scenes:
    document = editor.open("holes.py")
    cursor = document.behind("def one():\n    ")
    for only in (["quickfix"], ["refactor"], ["source"], ["refactor.extract"], ["source.proofread"]):
        yield f"only {only[0]}", editor.actions(document, cursor, cursor, only)
    editor.close(document)


def proofreading(outside: Outside) -> Scenes:
    for fixture in ("astral_characters.py", "vscode/rewrite.py"):
        outside.copy(fixture)
    with editing(lambda: Editor(outside)) as editor:
        yield "an older editor", editor.greet(OLDER)
        yield "it is told how the server does", editor.start()
        document = editor.open("rewrite.py")
        start = document.text.index("list(names)")
        yield (
            "an edit behind an astral character",
            editor.resolved(document, start, start + len("list(names)")),
        )
        editor.configure(proofread={"confidence": 0.0})
        document = editor.open("mistaken.py", MISTAKEN)
        yield "a file is proofread", editor.execute("dgemma.proofread", document.uri)
        whole = editor.actions(document, 0, len(document.text), ["quickfix"])
        yield "quick fixes", whole
        yield from _edited(editor, document)


def _edited(editor: Editor, document: Document) -> Scenes:
    at = document.text.index("reslt")
    editor.write(document, at, "result", at + len("reslt"))
    yield "a mistake is mended by hand", editor.settle()
    editor.configure(proofread={"confidence": 1.0})
    yield "no hint is sure enough", editor.settle()
    editor.configure(proofread={"confidence": 0.0, "onSave": True})
    editor.write(document, document.behind("result = 0\n"), "    unusd = items\n")
    editor.settle()
    editor.client.notify("textDocument/didSave", {"textDocument": {"uri": document.uri}})
    editor.client.wait(lambda message: message.get("method") == "textDocument/publishDiagnostics")
    yield "a new line is saved", editor.told()
    editor.close(document)
    yield "the file is closed", editor.settle()
