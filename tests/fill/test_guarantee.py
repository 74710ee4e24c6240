"""Outside the regions every byte stays as it was, whatever a model says: down to the file."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dgemma_lsp.cli import edit, textfile
from dgemma_lsp.cli.spans import parse_spans
from dgemma_lsp.fill import pipeline
from dgemma_lsp.text.masked import MaskedDocument, RegionError
from dgemma_model.protocol import Fill, FillOptions
from tests.fakes import FakeEngine

PIECES = [
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "    ",
    "x",
    "=",
    "(",
    ")",
    "'",
    '"',
    '"""',
    "#",
    ":",
    "def f",
    "😋",
    "é",
    "日本",
]
ODD = ["\f", "\v", "\x85", "\u2028", "\ufeff", "e\u0301", "\u200b", "\x1b[31m", "«", "\\"]
EVIL = ["\0", "\ud800", "\r\r\n", "# coding: latin-1\n", "\ufeff", "x" * 300]

texts = st.lists(st.sampled_from(PIECES + ODD), max_size=40).map("".join)
ordinary = st.lists(st.sampled_from(PIECES[:13]), min_size=1, max_size=8).map("".join)
evil = st.lists(st.sampled_from(PIECES + ODD + EVIL), max_size=12).map("".join)
fills = st.one_of(ordinary, ordinary, ordinary, evil)


@st.composite
def files(draw: st.DrawFn) -> textfile.TextFile:
    """UTF-8 with or without a byte order mark, or latin-1 or ASCII as a Python file declares them."""
    text, kind = draw(texts), draw(st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "ascii"]))
    if kind in {"latin-1", "ascii"}:
        text = f"# coding: {kind}" + draw(st.sampled_from(["\n", "\r\n", "\r"])) + text
    names = ["a.py"] if kind in {"latin-1", "ascii"} else ["a.py", "a.txt"]
    return textfile.decode(text.encode(kind, "ignore"), draw(st.sampled_from(names)))


@st.composite
def spans(draw: st.DrawFn, file: textfile.TextFile) -> list[str]:
    """Byte ranges that are apart from each other; some cut characters or line endings in two, and are refused."""
    edges = draw(st.lists(st.integers(0, len(file.raw)), min_size=2, max_size=8).map(sorted))
    return [f"@{start}:@{end}" for start, end in zip(edges[::2], edges[1::2], strict=False)]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(files(), st.data())
def test_outside_the_regions_every_byte_stays(file: textfile.TextFile, data: st.DataObject) -> None:
    specs = data.draw(spans(file))
    try:
        regions = parse_spans(specs, file)
    except RegionError:
        assume(False)
    document = MaskedDocument(file.text, regions, file.name, "python" if file.is_python else None)
    answer = data.draw(
        st.lists(st.lists(fills, min_size=len(regions), max_size=len(regions)), min_size=1, max_size=3)
    )
    *_, draft = pipeline.drafts(document, FakeEngine(answer), FillOptions(), lambda: False)
    found = pipeline.outcome(
        document, draft, pipeline.Gate(parse=data.draw(st.booleans()), encoding=file.encoding)
    )
    for candidate in found.candidates:
        if candidate.rejection is not None:
            continue
        try:
            after = file.encode(document.filled(candidate.texts))
        except textfile.FileError:
            continue  # refused, so nothing is written; see the table in test_textfile.py
        assert _only_these_bytes_changed(file, regions_in_bytes(file, document), after, candidate.texts)


def regions_in_bytes(file: textfile.TextFile, document: MaskedDocument) -> list[tuple[int, int]]:
    return [(file.byte_at(region.start), file.byte_at(region.end)) for region in document.regions]


def _only_these_bytes_changed(
    file: textfile.TextFile, regions: list[tuple[int, int]], after: bytes, texts: tuple[str, ...]
) -> bool:
    """The slow and obvious way: lay the old bytes and the fills' bytes end to end."""
    wanted, at = b"", 0
    for (start, end), text in zip(regions, texts, strict=True):
        wanted += file.raw[at:start] + text.encode(file.encoding)
        at = end
    return after == wanted + file.raw[at:]


@settings(max_examples=60, deadline=None)
@given(files(), st.data())
def test_the_command_changes_nothing_else_either(
    tmp_path_factory: pytest.TempPathFactory, file: textfile.TextFile, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("guarantee") / file.name
    path.write_bytes(file.raw)
    start = data.draw(st.integers(0, len(file.raw)))
    end = data.draw(st.integers(start, len(file.raw)))
    engine = FakeEngine([[Fill(data.draw(fills), 0.9)]])
    status = edit.main([str(path), "--span", f"@{start}:@{end}", "--write"], lambda model, device: engine)
    after = path.read_bytes()
    if status == 0:
        assert after != file.raw
        # Byte 0 stands for the start of the text, after the byte order mark.
        kept = max(start, 3) if file.bom else start
        assert after.startswith(file.raw[:kept])
        assert after.endswith(file.raw[max(end, kept) :])
        assert len(after) >= kept + len(file.raw) - max(end, kept)
    else:
        assert (status in {1, 2}, after) == (True, file.raw)
    assert os.listdir(path.parent) == [path.name]


@given(st.binary(max_size=60), st.data())
def test_bytes_that_are_no_text_are_refused_or_kept(raw: bytes, data: st.DataObject) -> None:
    try:
        file = textfile.decode(raw, data.draw(st.sampled_from(["a.py", "a.txt"])))
    except textfile.FileError:
        return
    assert file.encode(file.text) == raw


@pytest.mark.parametrize(
    "raw", [b"caf\xe9\n", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"a\0b", b"\xff\xfea\0"]
)
def test_what_is_no_text_is_never_touched(
    tmp_path: Path, raw: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(raw)
    stamp = path.stat().st_mtime_ns
    assert edit.main([str(path), "--span", "1", "--write"], lambda model, device: FakeEngine()) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (raw, stamp)
