"""The code actions that find their regions in the syntax, with a real server process and the fake worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dgemma_lsp.text.languages import languages
from tests.lsp.conftest import StartServer
from tools.drivers.client import CAPABILITIES, Client, Message, ResponseError, applied, fake, server_command
from tools.drivers.fake_worker import WorkerLog

pytestmark = pytest.mark.timeout(30)

SIZES = {"utf-8": 1, "utf-16": 2, "utf-32": 4}
CODECS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


class Editor:
    """A client that has agreed on an encoding with its server."""

    def __init__(self, client: Client, encoding: str) -> None:
        self.client = client
        self.encoding = encoding

    def offers(self, marked: str, language: str = "python", end: str = "") -> dict[str, Message]:
        """What is offered at the ˇ of a document, by title."""
        uri = self.client.open(marked.replace("ˇ", "") + end, language=language)
        context = {"diagnostics": []}
        params = {"textDocument": {"uri": uri}, "range": self.cursor(marked), "context": context}
        return {action["title"]: action for action in self.client.ask("textDocument/codeAction", params)}

    def cursor(self, marked: str) -> Message:
        before = marked[: marked.index("ˇ")].split("\n")
        units = len(before[-1].encode(CODECS[self.encoding])) // SIZES[self.encoding]
        position = {"line": len(before) - 1, "character": units}
        return {"start": position, "end": position}

    def done(self, marked: str, title: str, end: str = "", language: str = "python") -> str:
        """The document after an offer was taken up, with all of its changes made in one step."""
        action = self.offers(marked, language, end)[title]
        assert "edit" not in action
        (change,) = self.client.ask("codeAction/resolve", action)["edit"]["documentChanges"]
        text = marked.replace("ˇ", "") + end
        # Positions are those of the document before the first change.
        for edit in reversed(change["edits"]):
            text = applied(text, edit, self.encoding)
        return text.removesuffix(end)


@pytest.fixture(scope="module", params=list(SIZES))
def editor(request: pytest.FixtureRequest) -> Iterator[Editor]:
    client = Client(server_command("--text", "value_{n}"))
    client.initialize({**CAPABILITIES, "general": {"positionEncodings": [request.param]}})
    yield Editor(client, request.param)
    client.close()


@pytest.mark.parametrize(
    ("title", "marked", "wanted"),
    [
        pytest.param(
            "Fill all holes in this file",
            "ˇa = '😋', ⟨fill⟩\n\n\ndef f():  # 😋\n    ...\n",
            "a = '😋', value_0\n\n\ndef f():  # 😋\n    value_1\n",
            id="all holes of a file",
        ),
        pytest.param(
            "Fill all holes in this function",
            "a = '😋', ⟨fill⟩\ndef f(): ˇx = '😋', ⟨fill⟩, ⟨fill⟩\n",
            "a = '😋', ⟨fill⟩\ndef f(): x = '😋', value_0, value_1\n",
            id="those of a function",
        ),
        pytest.param(
            "Complete this block",
            "def f(a='😋'):ˇ\n",
            "def f(a='😋'):\n    value_0\n",
            id="a block that is begun",
        ),
        pytest.param(
            "Complete this block",
            "def f():\n    a = '😋'\n    ˇ\n    return a\n",
            "def f():\n    a = '😋'\n    value_0\n    return a\n",
            id="an empty line of a block",
        ),
        pytest.param("Suggest arguments", "'😋'; f('😋', ˇa)\n", "'😋'; f(value_0)\n", id="arguments"),
        pytest.param(
            "Write docstring and body",
            "'😋'\ndef f(a='😋'):\n    returnˇ 1\n",
            '\'😋\'\ndef f(a=\'😋\'):\n    """value_0"""\n    value_1\n',
            id="a docstring that is not there yet",
        ),
        pytest.param(
            "Write docstring and body",
            "def f():\n    '''Docs 😋'''; aˇ = '😋'\n",
            "def f():\n    '''value_0'''; value_1\n",
            id="a docstring that is there",
        ),
    ],
)
def test_an_action_fills_its_regions_and_nothing_else(
    editor: Editor, title: str, marked: str, wanted: str
) -> None:
    assert editor.done(marked, title) == wanted


def test_all_regions_are_in_one_canvas_and_begin_from_nothing(
    start_server: StartServer, log: WorkerLog
) -> None:
    client = start_server("--text", "value_{n}")
    client.initialize(options={"rewrite": {"strength": 0.3}})
    editor = Editor(client, "utf-16")
    editor.done("a = ⟨fill⟩ˇ\nb = ⟨fill⟩\n", "Fill all holes in this file")
    (request,) = log.entries("fill")
    assert request["present"] == ["⟨fill⟩", "⟨fill⟩"]
    assert request["segments"] == ["a = ", "\nb = ", "\n"]
    assert request["options"]["strength"] == 1.0


def test_the_model_sees_a_docstring_that_is_not_there_yet(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--text", "value_{n}")
    client.initialize()
    Editor(client, "utf-16").done("def f():\n    a()ˇ\n", "Write docstring and body")
    (request,) = log.entries("fill")
    assert request["segments"] == ['def f():\n    """', '"""\n    ', "\n"]


@pytest.mark.parametrize(
    ("marked", "count"),
    [
        pytest.param("x = 1ˇ\n", 0, id="nothing to do"),
        pytest.param("x = ⟨fill⟩\nyˇ = 1\n", 1, id="a hole somewhere"),
        pytest.param("def f():\n    return g(ˇ)\n", 2, id="a call in a function"),
        pytest.param("def f():\n    ...ˇ\n", 4, id="a function to be written"),
    ],
)
def test_only_what_applies_is_offered(editor: Editor, marked: str, count: int) -> None:
    assert len(editor.offers(marked)) == count


def test_an_offer_for_an_older_version_is_refused(editor: Editor) -> None:
    (action,) = editor.offers("x = ⟨fill⟩ˇ\n").values()
    editor.client.change("file:///src/a.py", 2, {"text": "x = ⟨fill⟩ + 1\n"})
    refused(editor.client, action, "The document has changed since the action was offered")


def test_an_offer_whose_hole_is_gone_is_refused(editor: Editor) -> None:
    (action,) = editor.offers("x = ⟨fill⟩\ny = 1ˇ\n").values()
    hole = {"start": {"line": 0, "character": 4}, "end": {"line": 1, "character": 0}}
    editor.client.change("file:///src/a.py", 2, {"range": hole, "text": "2\n"})
    refused(editor.client, action, "The text that the edit belongs to has changed")


def test_typing_while_the_model_works_drops_the_edit(start_server: StartServer, log: WorkerLog) -> None:
    client = start_server("--step-delay", "0.2", "--steps", "3")
    client.initialize()
    (action,) = Editor(client, "utf-16").offers("x = ⟨fill⟩ˇ\n").values()
    request = client.request("codeAction/resolve", action)
    log.await_entries("step")
    client.change("file:///src/a.py", 2, {"text": "all is new\n"})
    with pytest.raises(ResponseError, match="The text that the edit belongs to has changed"):
        client.answer(request)


def test_an_offer_that_makes_no_sense_there_is_refused(editor: Editor) -> None:
    (action,) = editor.offers("x = ⟨fill⟩ˇ\n").values()
    action["data"]["action"] = "SUGGEST_ARGUMENTS"
    refused(editor.client, action, "There is no region to fill")


def test_a_fill_that_would_break_the_file_is_refused_with_the_reason(editor: Editor) -> None:
    (action,) = editor.offers("x = ⟨fill⟩ˇ\n", end=fake(text="(((")).values()
    refused(editor.client, action, "syntax error")


def refused(client: Client, action: Message, reason: str) -> None:
    with pytest.raises(ResponseError, match=reason) as error:
        client.ask("codeAction/resolve", action)
    assert error.value.code == -32803


# Other languages

GO = 'package a\n\nfunc f(a string) {ˇ\n\tpanic("not implemented 😋")\n}\n'


@pytest.mark.parametrize(
    ("options", "silent"),
    [
        pytest.param({}, True, id="the model knows Python"),
        pytest.param({"languages": ["python", "go"]}, False, id="the user wants it all the same"),
        pytest.param({"languages": []}, True, id="the user wants nothing"),
    ],
)
def test_a_language_is_served_where_the_setting_names_it(
    start_server: StartServer, options: Any, silent: bool
) -> None:
    client = start_server("--text", "value_{n}")
    client.initialize(options={"logLevel": "debug", **options})
    offers = Editor(client, "utf-16").offers(GO, language="go")
    assert ("Fill all holes in this function" not in offers) is silent
    assert (client.complete("file:///src/a.py", 2, 18, asked=True) == []) is silent
    if silent:
        client.wait_for_message("window/logMessage", "the setting languages does not include the language")


@pytest.mark.parametrize("language", ["typescriptreact", "plaintext"])
def test_a_language_goes_by_all_of_its_names(start_server: StartServer, language: str) -> None:
    client = start_server()
    client.initialize(options={"languages": ["tsx"]})
    uri = client.open("const a = 1;\n", "file:///src/a.tsx", language=language)
    assert client.complete(uri, 0, 12, asked=True)


def test_the_setting_may_change(start_server: StartServer) -> None:
    client = start_server()
    client.initialize()
    uri = client.open("x = \n")
    assert client.complete(uri, 0, 4, asked=True)
    client.notify("workspace/didChangeConfiguration", {"settings": {"dgemma": {"languages": ["go"]}}})
    assert client.complete(uri, 0, 4, asked=True) == []


def test_by_default_nothing_is_offered_beside_python_not_even_a_rewrite(start_server: StartServer) -> None:
    client = start_server()
    client.initialize()
    uri = client.open("x := 1\n", "file:///src/a.go", language="go")
    selected = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 6}}
    params = {"textDocument": {"uri": uri}, "range": selected, "context": {"diagnostics": []}}
    assert client.ask("textDocument/codeAction", params) == []


def test_the_user_may_write_other_markers(start_server: StartServer) -> None:
    client = start_server("--text", "value_{n}")
    client.initialize(options={"markers": ["<FILL>"]})
    title = "Fill all holes in this file"
    assert (
        Editor(client, "utf-16").done("aˇ = <FILL>\nb = '⟨fill⟩'\n", title) == "a = value_0\nb = '⟨fill⟩'\n"
    )


@pytest.fixture(scope="module")
def marking_editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Editor, WorkerLog]]:
    """Of somebody who writes <FILL> in every language."""
    log = WorkerLog(tmp_path_factory.mktemp("marking") / "log")
    client = Client(server_command("--text", "value_{n}", "--log", str(log.path)))
    client.initialize(options={"markers": ["<FILL>"], "languages": sorted(languages())})
    yield Editor(client, "utf-16"), log
    client.close()


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [
        ("python", "def f():\n    ˇy = <FILL>\n    ...\n", "def f():\n    y = value_0\n    value_1\n"),
        (
            "javascript",
            "f(() => {\n  ˇy = <FILL>;\n  // 😋\n});\n",
            "f(() => {\n  y = value_0;\n  // 😋\n});\n",
        ),
        (
            "typescript",
            "function f() {\n  ˇlet y: T = <FILL>;\n}\n",
            "function f() {\n  let y: T = value_0;\n}\n",
        ),
        ("typescriptreact", "ˇconst a = <p>{<FILL>}</p>;\n", "const a = <p>{value_0}</p>;\n"),
        (
            "go",
            'func f() {\n\tˇy := <FILL>\n\tpanic("not implemented")\n}\n',
            "func f() {\n\ty := value_0\n\tvalue_1\n}\n",
        ),
        (
            "rust",
            "fn f() {\n  ˇlet y = <FILL>;\n  todo!()\n}\n",
            "fn f() {\n  let y = value_0;\n  value_1\n}\n",
        ),
        (
            "c",
            "int f() {\n  ˇg(<FILL>);\n}\nint h() {\n  /* TODO */\n}\n",
            "int f() {\n  g(value_0);\n}\nint h() {\n  value_1\n}\n",
        ),
        (
            "cpp",
            "int f() {\n  ˇg(<FILL>);\n}\nint h() {\n  // TODO\n}\n",
            "int f() {\n  g(value_0);\n}\nint h() {\n  value_1\n}\n",
        ),
        (
            "java",
            "class A { int f() {\n  ˇint y = <FILL>;\n  throw new UnsupportedOperationException();\n} }\n",
            "class A { int f() {\n  int y = value_0;\n  value_1\n} }\n",
        ),
        (
            "ruby",
            "def f\n  ˇy = <FILL>\n  raise NotImplementedError\nend\n",
            "def f\n  y = value_0\n  value_1\nend\n",
        ),
        (
            "lua",
            "function f()\n  ˇlocal y = <FILL>\n  error('not implemented')\nend\n",
            "function f()\n  local y = value_0\n  value_1\nend\n",
        ),
        (
            "shellscript",
            "ˇf() { echo <FILL>; }\ng() {\n  # TODO\n  :\n}\n",
            "f() { echo value_0; }\ng() {\n  # TODO\n  value_1\n}\n",
        ),
        ("json", 'ˇ{"a": "😋", "b": <FILL>}\n', '{"a": "😋", "b": value_0}\n'),
        ("yaml", "ˇa: <FILL>\n", "a: value_0\n"),
        ("toml", "ˇa = <FILL>\n", "a = value_0\n"),
        (
            "markdown",
            "# ˇ<FILL>\n\n```go\nvar a = <FILL>\n```\n",
            "# value_0\n\n```go\nvar a = value_1\n```\n",
        ),
    ],
)
def test_a_marker_of_the_user_s_hides_no_other_hole_in_any_language(
    marking_editor: tuple[Editor, WorkerLog], language: str, before: str, after: str
) -> None:
    editor, _ = marking_editor
    assert editor.done(before, "Fill all holes in this file", language=language) == after


def test_where_a_marker_of_the_user_s_stands_alone_a_block_may_follow(
    marking_editor: tuple[Editor, WorkerLog],
) -> None:
    editor, log = marking_editor
    filled = editor.done("def f():\n    ˇ<FILL>\n", "Complete this block")
    assert filled == "def f():\n    value_0\n"
    assert not log.entries("fill")[-1]["options"]["single_line"]
    editor.done("ˇx = <FILL>\n", "Fill all holes in this file")
    assert log.entries("fill")[-1]["options"]["single_line"]
