"""The first messages between an editor and the server: capabilities, settings, and what is said when they are wrong."""

from __future__ import annotations

from typing import Any

from tools.answers.command_line import Scenes
from tools.answers.editor import Editor, editing
from tools.answers.outside import Outside
from tools.drivers.wire import Message

FIXTURE = "shop.py"

RESOLVING: Message = {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}}

WRONG: Message = {
    "enable": False,
    "steps": 1000,
    "model": 5,
    "device": "tpu",
    "automatic": {"minConfidence": "much", "speed": 1},
    "rewrite": 3,
    "markers": "here",
    "exclude": "secrets",
    "colour": "red",
}

PROJECT = """\
[tool.dgemma]
model = "other"
steps = 0
automatic = { min-confidence = 2.0 }
unknown = true
"""


def greetings(outside: Outside) -> Scenes:
    """What is announced to several kinds of editors."""
    for name, capabilities in (
        ("an editor that knows nothing", {}),
        ("one that prefers UTF-8", {"general": {"positionEncodings": ["utf-8", "utf-16"]}}),
        ("one with UTF-32 only", {"general": {"positionEncodings": ["utf-32"]}}),
        ("one with an encoding of its own", {"general": {"positionEncodings": ["utf-7"]}}),
        ("one with notebooks", {"notebookDocument": {"synchronization": {}}}),
    ):
        with editing(lambda: Editor(outside)) as editor:
            yield name, editor.greet(capabilities)
    with editing(lambda: Editor(outside)) as editor:
        editor.greet({}, {"enable": False})
        editor.start()
        yield "good-bye in the right order", {"status": editor.leave()}
    with editing(lambda: Editor(outside)) as editor:
        editor.greet({}, {"enable": False})
        editor.start()
        yield "the editor goes without good-bye", {"status": editor.client.end()}


def settings(outside: Outside) -> Scenes:
    """Wrong settings at every place, and a server that is turned off by one that is right."""
    outside.copy(f"vscode/{FIXTURE}")
    (outside.here / "pyproject.toml").write_text(PROJECT, "utf-8")
    dynamic = {"dynamicRegistration": True}
    workspace = {
        "configuration": True,
        "didChangeConfiguration": dynamic,
        "didChangeWatchedFiles": dynamic,
        "workspaceFolders": True,
    }
    capabilities = {"workspace": workspace, "textDocument": {"codeAction": RESOLVING}}
    asked = {"workspace/configuration": [{"alternatives": 99, "status": True}]}
    variables = {"DGEMMA_SEED": "lucky", "DGEMMA_COLOUR": "red", "DGEMMA_MARKERS": "fill,here"}
    with editing(lambda: Editor(outside, answers=asked, variables=variables)) as editor:
        yield "wrong options", editor.greet(capabilities, WRONG, root=True)
        yield "problems at the start", editor.start()
        yield from _while_it_is_off(editor)
        editor.configure(enable="perhaps", proofread={"confidence": 3})
        yield "wrong settings later", editor.settle()
        (outside.here / "pyproject.toml").write_text("[tool.dgemma\n", "utf-8")
        watched = {"changes": [{"uri": (outside.here / "pyproject.toml").as_uri(), "type": 2}]}
        editor.client.notify("workspace/didChangeWatchedFiles", watched)
        yield "a project's file that is no TOML", editor.settle()
        editor.client.notify("workspace/didChangeConfiguration", {"settings": None})
        yield "a change without a word of what", _answered(editor)


def _while_it_is_off(editor: Editor) -> Scenes:
    document = editor.open(FIXTURE)
    cursor = document.behind("return sorted(")
    yield "a completion while it is off", editor.complete(document, cursor, invoked=True)
    yield "code actions while it is off", editor.actions(document, cursor, cursor)
    yield "proofreading while it is off", editor.execute("dgemma.proofread", document.uri)


def _answered(editor: Editor) -> Any:
    """What is told until the server has asked for the configuration and seen the answer."""
    editor.client.wait(lambda message: message.get("method") == "workspace/configuration")
    return editor.settle()


def troubles(outside: Outside) -> Scenes:
    """A model that is not there, and requests that make no sense."""
    outside.copy(f"vscode/{FIXTURE}")
    capabilities = {
        "window": {"workDoneProgress": True},
        "textDocument": {"inlineCompletion": {}, "codeAction": RESOLVING},
        "experimental": {"dgemmaStatus": True},
    }
    with editing(lambda: Editor(outside, arguments=["--model", "missing"])) as editor:
        editor.greet(capabilities)
        editor.client.notify("initialized", {})
        editor.client.wait(_ends_a_bar)
        yield "a model that is not there", editor.told()
        document = editor.open(FIXTURE)
        cursor = document.behind("return sorted(")
        yield "a completion without a model", editor.complete(document, cursor)
        yield from _nonsense(editor)


def _ends_a_bar(message: Message) -> bool:
    return message.get("method") == "$/progress" and message["params"]["value"].get("kind") == "end"


def _nonsense(editor: Editor) -> Scenes:
    yield "a method that nobody knows", editor.ask("textDocument/dance", {})
    yield "a completion without a place", editor.ask("textDocument/inlineCompletion", {"textDocument": {}})
    foreign = {"title": "Sort imports", "data": {"tool": "other"}}
    yield "a code action of another server", editor.ask("codeAction/resolve", foreign)
    yield "proofreading what is not open", editor.execute("dgemma.proofread", "file:///nowhere.py")
    yield "a command that nobody knows", editor.execute("dgemma.dance")
