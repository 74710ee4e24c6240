"""An editor as the server sees it: it opens documents, types into them and asks, and notes what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tools.answers.client import Client
from tools.answers.outside import Outside, command
from tools.drivers.wire import Message

UNITS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
)
"""Of a position encoding: the codec, and the bytes of one unit in it."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True)
class Document:
    """An open document.

    Attributes:
        uri: of it.
        text: as the editor has it.
        version: grows with each change.
    """

    uri: str
    text: str
    version: int = 1

    def behind(self, words: str) -> int:
        """The offset behind the first place where some words stand."""
        return self.text.index(words) + len(words)


class Editor:
    """Drives one server.

    Args:
        outside: where the server runs.
        encoding: of positions, which the server must have agreed to.
        answers: to what the server asks for, by method.
        arguments: of the server's command line.
        variables: of its environment.
    """

    def __init__(
        self,
        outside: Outside,
        encoding: str = "utf-16",
        answers: Mapping[str, Any] = NOTHING,
        arguments: Sequence[str] = (),
        variables: Mapping[str, str] = NOTHING,
    ) -> None:
        self._outside, self._encoding = outside, encoding
        line = [command("dgemma-lsp"), "--stdio", *arguments]
        self.client = Client(line, outside.here, outside.environment(variables), answers)

    # Life

    def greet(self, capabilities: Message, options: object = None, root: bool = False) -> Any:
        """Send ``initialize``; returns its outcome.

        Args:
            capabilities: of the editor.
            options: settings.
            root: whether the folder of the fixtures is the workspace.
        """
        uri = self._outside.here.as_uri()
        params = {
            "processId": None,
            "rootUri": uri if root else None,
            "workspaceFolders": [{"uri": uri, "name": "here"}] if root else None,
            "capabilities": capabilities,
            "initializationOptions": options,
        }
        return self.ask("initialize", params)

    def start(self) -> Any:
        """Send ``initialized``; returns what is told until the model is ready, or it is known why it is not."""
        self.client.notify("initialized", {})
        self.client.wait(lambda message: message.get("method") == "window/logMessage")
        return self.settle()

    def leave(self) -> int:
        """Say good-bye; returns the server's exit status."""
        self.client.ask("shutdown")
        self.client.notify("exit")
        return self.client.end()

    # Documents

    def open(self, name: str, text: str | None = None, language: str = "python", uri: str = "") -> Document:
        """Open a document, by default a file of the folder with what stands in it."""
        path = self._outside.here / name
        text = path.read_bytes().decode() if text is None else text
        document = Document(uri or path.as_uri(), text)
        item = {"uri": document.uri, "languageId": language, "version": 1, "text": text}
        self.client.notify("textDocument/didOpen", {"textDocument": item})
        return document

    def write(self, document: Document, at: int, text: str, until: int | None = None) -> None:
        """Put a text into a document, in place of what stands up to ``until``."""
        until = at if until is None else until
        change = {"range": self.range(document, at, until), "text": text}
        document.text = document.text[:at] + text + document.text[until:]
        document.version += 1
        identifier = {"uri": document.uri, "version": document.version}
        params = {"textDocument": identifier, "contentChanges": [change]}
        self.client.notify("textDocument/didChange", params)

    def close(self, document: Document) -> None:
        self.client.notify("textDocument/didClose", {"textDocument": {"uri": document.uri}})

    def position(self, document: Document, at: int) -> Message:
        """A character offset as a position."""
        codec, size = UNITS[self._encoding]
        before = document.text[:at]
        start = before.rfind("\n") + 1
        return {"line": before.count("\n"), "character": len(before[start:].encode(codec)) // size}

    def range(self, document: Document, start: int, end: int) -> Message:
        return {"start": self.position(document, start), "end": self.position(document, end)}

    # Asking

    def ask(self, method: str, params: object = None) -> Any:
        """The outcome of a request: a result or an error, and what was told because of it."""
        response = self.client.ask(method, params)
        kept = {name: response[name] for name in ("result", "error") if name in response}
        # An error is logged after its answer.
        return {**kept, **self.settle()} if "error" in kept else {**kept, **self.told()}

    def told(self) -> dict[str, Any]:
        """What the server has said by itself since the last time."""
        told = self.client.take_told()
        return {"told": told} if told else {}

    def settle(self) -> dict[str, Any]:
        """What was told until the server had read everything that was sent."""
        self.client.ask("textDocument/codeAction", self._selection(Document("file:///nowhere.py", ""), 0, 0))
        return self.told()

    def complete(
        self, document: Document, at: int, invoked: bool = False, chosen: Message | None = None
    ) -> Any:
        """Ask for inline completions at an offset.

        Args:
            document: an open one.
            at: where the cursor is.
            invoked: the user has asked, and not only typed.
            chosen: the entry that is selected in the editor's own list.
        """
        context: Message = {"triggerKind": 1 if invoked else 2}
        if chosen is not None:
            context["selectedCompletionInfo"] = chosen
        params = {
            "textDocument": {"uri": document.uri},
            "position": self.position(document, at),
            "context": context,
        }
        return self.ask("textDocument/inlineCompletion", params)

    def actions(self, document: Document, start: int, end: int, only: Sequence[str] | None = None) -> Any:
        """Ask for code actions at a selection."""
        return self.ask("textDocument/codeAction", self._selection(document, start, end, only))

    def resolved(self, document: Document, start: int, end: int, drafts: bool = False) -> Any:
        """What is offered at a selection, and what becomes of each offer when it is taken up."""
        offers = self.actions(document, start, end)
        taken = [self.take_up(offer, drafts) for offer in offers["result"] if "disabled" not in offer]
        return {"offers": offers, "taken up": taken}

    def take_up(self, offer: Message, drafts: bool = False) -> Any:
        """Resolve a code action; of its result only the edit is kept, since the rest was offered already."""
        if drafts:
            offer = {**offer, "data": {**offer["data"], "partialResultToken": "drafts"}}
        outcome = self.ask("codeAction/resolve", offer)
        if "result" in outcome:
            outcome["result"] = outcome["result"]["edit"]
        return outcome

    def execute(self, name: str, *arguments: object) -> Any:
        """Have the server execute one of its commands."""
        return self.ask("workspace/executeCommand", {"command": name, "arguments": list(arguments)})

    def configure(self, **settings: object) -> None:
        """Change what the editor has chosen."""
        self.client.notify("workspace/didChangeConfiguration", {"settings": {"dgemma": settings}})

    def _selection(
        self, document: Document, start: int, end: int, only: Sequence[str] | None = None
    ) -> Message:
        context: Message = {"diagnostics": []}
        if only is not None:
            context["only"] = list(only)
        return {
            "textDocument": {"uri": document.uri},
            "range": self.range(document, start, end),
            "context": context,
        }


@contextmanager
def editing(make: Callable[[], Editor]) -> Iterator[Editor]:
    """An editor whose server is ended whatever happens."""
    editor = make()
    try:
        yield editor
    finally:
        editor.client.process.kill()
        editor.client.process.wait()
