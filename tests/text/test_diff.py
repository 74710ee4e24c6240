import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgemma_lsp.text.diff import unified_diff

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
needs_patch = pytest.mark.skipif(shutil.which("patch") is None, reason="needs patch")

DIFFS = [
    ("one line in a file of few", b"a\nb\nc\n", b"a\nB\nc\n"),
    ("equal lines could be paired in several ways", b"a\nb\na\na\na\na\n", b"a\na\na\na\na\na\n"),
    ("changes apart and a line more at the end", b"a\nb\n", b"A\nb\nc\n"),
    (
        "several hunks",
        b"".join(b"%d\n" % n for n in range(40)),
        b"".join(b"%d\n" % (n - n % 15) for n in range(40)),
    ),
    ("no newline at the end of the old text", b"a\nb", b"a\nb\n"),
    ("no newline at the end of the new text", b"a\nb\n", b"a\nb"),
    ("no newline at the end of either", b"a\nb", b"a\nc"),
    ("no newline at the end, which is mere context", b"a\nb\nc", b"A\nb\nc"),
    ("lines end in CRLF", b"a\r\nb\r\nc\r\n", b"a\r\nB\r\nc\r\n"),
    ("line endings are mixed", b"a\r\nb\nc\rd\r\n", b"a\r\nb\nC\rd\r\n"),
    ("a lone CR ends every line", b"a\rb\rc\r", b"a\rB\rc\r"),
    ("a byte order mark", b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbfA\nb\n"),
    ("bytes that are no UTF-8", b"a\xe9\nb\n", b"a\xe8\nb\n"),
    ("form feeds and line separators in lines", "a\f\u2028b\x85\n".encode(), "a\f\u2028c\x85\n".encode()),
    ("lines that look like a diff", b"--- a\n+++ b\n@@ -1 +1 @@\n", b"--- a\n+++ c\n@@ -1 +1 @@\n"),
    ("everything went", b"a\nb\n", b""),
    ("everything is new", b"", b"a\nb\n"),
    ("blank lines and trailing blanks", b"a \n\n\n\t\nb\n", b"a \n\n \n\t\nb\n"),
]


@pytest.mark.parametrize("name", ["a.py", "with blank.py", 'quote"and\\.py', "ünï.py"])
@pytest.mark.parametrize(("before", "after"), [case[1:] for case in DIFFS], ids=[case[0] for case in DIFFS])
@needs_git
def test_git_applies_the_diff(tmp_path: Path, before: bytes, after: bytes, name: str) -> None:
    assert _applied(["git", "apply", "--whitespace=nowarn", "-"], tmp_path, before, after, name) == after


# GNU patch drops the CRs of a whole patch when they look like a mail program's; it has to be told. It also removes a
# file that becomes empty.
@pytest.mark.parametrize(
    ("before", "after"), [case[1:] for case in DIFFS if case[2]], ids=[c[0] for c in DIFFS if c[2]]
)
@needs_patch
def test_patch_applies_the_diff(tmp_path: Path, before: bytes, after: bytes) -> None:
    command = ["patch", "-p1", "--binary", "--silent"]
    assert _applied(command, tmp_path, before, after, "with blank.py") == after


def _applied(command: list[str], folder: Path, before: bytes, after: bytes, name: str) -> bytes:
    (folder / name).write_bytes(before)
    diff = unified_diff(before, after, name)
    done = subprocess.run(command, cwd=folder, input=diff, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() + diff.decode(errors="replace")
    return (folder / name).read_bytes()


@needs_git
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"a\n", b"b\n", b"c\r\n", b"\n"]), min_size=1, max_size=30),
    st.lists(st.sampled_from([b"a\n", b"d\n", b"", b"\r\n"]), min_size=1, max_size=3),
    st.data(),
)
def test_git_applies_any_diff(
    tmp_path_factory: pytest.TempPathFactory, old: list[bytes], new: list[bytes], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(old)))
    second = data.draw(st.integers(first, len(old)))
    changed = [*old[:first], *new, *old[first + 1 : second], *new, *old[second + 1 :]]
    before, after = b"".join(old), b"".join(changed)
    if before != after:
        folder = tmp_path_factory.mktemp("applied")
        assert _applied(["git", "apply", "--whitespace=nowarn", "-"], folder, before, after, "a.py") == after


def test_no_change_is_no_diff() -> None:
    assert unified_diff(b"a\n", b"a\n", "a.py") == b""


def test_a_diff_looks_like_this() -> None:
    before = b"".join(b"line %d\n" % n for n in range(1, 10))
    assert unified_diff(before, before.replace(b"5", b"five"), "src/a.py").decode() == (
        "--- a/src/a.py\n+++ b/src/a.py\n@@ -2,7 +2,7 @@\n line 2\n line 3\n line 4\n"
        "-line 5\n+line five\n line 6\n line 7\n line 8\n"
    )


def test_a_large_file_of_equal_lines_takes_no_time() -> None:
    before = b"0,\n" * 200_000
    half = len(before) // 2
    assert b"+1,\n" in unified_diff(before, before[:half] + b"1,\n" + before[half:], "a.py")
