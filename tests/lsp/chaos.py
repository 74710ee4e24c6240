"""Random events of an editor that has gone mad, and what must hold all the same.

The editor keeps its own copy of every document. Whether the server has the same is seen in what it sends to the worker
for a completion at the end of a document.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tools.drivers import wire
from tools.drivers.client import Client, Message, ResponseError
from tools.drivers.fake_worker import WorkerLog

PIECES = (
    "x",
    " = ",
    "😋",
    "\n",
    "\r\n",
    "def f(a):\n    ",
    "...",
    "é",
    "(",
    ")",
    '"',
    "# ⟨fill⟩\n",
    "    ",
    "\t",
    "value",
)
GARBAGE: tuple[Any, ...] = (
    None,
    1,
    "x",
    [],
    [1],
    {},
    {"uri": 3},
    {"textDocument": None},
    {"position": {"line": -1}},
)
METHODS = (
    "textDocument/didChange", "textDocument/didOpen", "textDocument/didClose", "textDocument/inlineCompletion",
    "textDocument/codeAction", "codeAction/resolve", "workspace/executeCommand", "workspace/didChangeConfiguration",
    "workspace/didChangeWorkspaceFolders", "notebookDocument/didChange", "notebookDocument/didOpen",
    "dgemma/editorState", "window/workDoneProgress/cancel", "$/cancelRequest", "$/setTrace", "no/such/method",
)  # fmt: skip
SETTINGS: tuple[Any, ...] = (
    {}, {"steps": 2}, {"steps": "many"}, {"alternatives": 1}, {"automatic": {"minConfidence": 0}},
    {"languages": ["python"]},
    {"languages": ["python", "go"]}, {"exclude": ["**/b.py"]}, {"exclude": ["["]}, {"logLevel": "debug"}, [], "x",
    {"x": {}},
)  # fmt: skip
PLAIN: Message = {"dgemma": {"exclude": [], "languages": ["python"], "steps": 1}}


@dataclass
class Document:
    """What the editor has.

    Attributes:
        text: of it.
        version: counted by the editor.
    """

    text: str
    version: int = 1


@dataclass
class Chaos:
    """An editor.

    Args:
        client: an initialized one, in UTF-16.
        log: of its worker.
        seed: of all that happens.
    """

    client: Client
    log: WorkerLog
    seed: int
    documents: dict[str, Document] = field(default_factory=dict)
    requests: list[int] = field(default_factory=list)
    actions: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def run(self, events: int) -> None:
        """Let so many events happen, and wait until all requests are answered."""
        happenings: list[tuple[Callable[[], None], int]] = [
            (self.edit, 40), (self.complete, 25), (self.cancel, 10), (self.offer, 5), (self.resolve, 5), (self.open, 4),
            (self.close, 2), (self.configure, 3), (self.accept, 3), (self.garbage, 5), (self.noise, 1),
        ]  # fmt: skip
        happen, weights = zip(*happenings, strict=True)
        for number in range(events):
            self.random.choices(happen, weights)[0]()
            if number % 50 == 0:
                self.settle()
        self.settle()

    def settle(self) -> None:
        """Wait for the answers, as an editor does that is not a flood."""
        for request in self.requests:
            try:
                answer = self.client.answer(request)
            except ResponseError:
                continue
            if isinstance(answer, list):
                self.actions = answer
        self.requests.clear()
        # What was received is of no use any more, and would be searched again and again.
        self.client.received.clear()

    def check(self) -> None:
        """The server has every document as the editor has it."""
        self.settle()
        self.client.notify("workspace/didChangeConfiguration", {"settings": PLAIN})
        for uri, document in self.documents.items():
            # A suggestion that is known would be answered without the worker.
            self.change(uri, Document(document.text + "\n# end\n").text)
            lines = document.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            self.client.complete(uri, len(lines) - 1, 0, asked=True)
            segments = self.log.entries("fill")[-1]["segments"]
            wanted = document.text.replace("\r\n", "\n").replace("\r", "\n")
            assert "".join(segments) == wanted, f"seed {self.seed}: the server has another text of {uri}"

    # What happens

    def some(self) -> str | None:
        return self.random.choice(list(self.documents)) if self.documents else None

    def open(self) -> None:
        uri = f"file:///src/{self.random.choice('abcdefgh')}.py"
        text = "".join(self.random.choices(PIECES, k=self.random.randrange(40)))
        if uri not in self.documents:
            self.documents[uri] = Document(text)
            self.client.open(text, uri)

    def close(self) -> None:
        if (uri := self.some()) is not None:
            del self.documents[uri]
            self.client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def edit(self) -> None:
        if (uri := self.some()) is None:
            return self.open()
        document = self.documents[uri]
        if self.random.random() < 0.05 or len(document.text) > 3000:
            return self.change(uri, "".join(self.random.choices(PIECES, k=20)))
        start, end = sorted(self._place(document.text) for _ in range(2))
        if self.random.random() < 0.8:
            end = start
        new = self.random.choice(PIECES)
        range_ = {"start": position(document.text, start), "end": position(document.text, end)}
        document.text = document.text[:start] + new + document.text[end:]
        document.version += 1
        self.client.change(uri, document.version, {"range": range_, "text": new})
        return None

    def change(self, uri: str, text: str) -> None:
        document = self.documents[uri]
        document.text, document.version = text, document.version + 1
        self.client.change(uri, document.version, {"text": text})

    def complete(self) -> None:
        if (uri := self.some()) is not None:
            text = self.documents[uri].text
            place = position(text, self._place(text))
            asked = self.random.random() < 0.2
            self.requests.append(
                self.client.request_completion(uri, place["line"], place["character"], asked)
            )

    def cancel(self) -> None:
        if self.requests:
            self.client.cancel(self.random.choice(self.requests))

    def offer(self) -> None:
        if (uri := self.some()) is not None:
            text = self.documents[uri].text
            start, end = sorted(self._place(text) for _ in range(2))
            range_ = {"start": position(text, start), "end": position(text, end)}
            params = {"textDocument": {"uri": uri}, "range": range_, "context": {"diagnostics": []}}
            self.requests.append(self.client.request("textDocument/codeAction", params))

    def resolve(self) -> None:
        if self.actions:
            self.requests.append(self.client.request("codeAction/resolve", self.random.choice(self.actions)))

    def configure(self) -> None:
        settings = {"dgemma": self.random.choice(SETTINGS)}
        self.client.notify("workspace/didChangeConfiguration", {"settings": settings})

    def accept(self) -> None:
        arguments = [self.some() or "", self.random.randrange(100), self.random.randrange(3)]
        params = {"command": "dgemma.accepted", "arguments": arguments}
        self.requests.append(self.client.request("workspace/executeCommand", params))

    def garbage(self) -> None:
        method, params = self.random.choice(METHODS), self.random.choice(GARBAGE)
        if method == "workspace/didChangeWorkspaceFolders" or self.random.random() < 0.5:
            self.client.notify(method, params)
        else:
            self.requests.append(self.client.request(method, params))

    def noise(self) -> None:
        """Frames that are no messages."""
        body = self.random.choice(
            (b"{nope", b"[]", b"null", b"\xff\xfe", b'{"jsonrpc": "2.0"}', b'{"id": 3}')
        )
        assert self.client.process.stdin
        wire.write_frame(self.client.process.stdin, body)

    def _place(self, text: str) -> int:
        at = self.random.randrange(len(text) + 1)
        return at - (text[at - 1 : at + 1] == "\r\n")


def position(text: str, offset: int) -> Message:
    """In UTF-16 units."""
    lines = text[:offset].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return {"line": len(lines) - 1, "character": len(lines[-1].encode("utf-16-le")) // 2}
