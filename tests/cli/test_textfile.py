import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.cli import textfile
from dgemma_lsp.cli.textfile import FileError, decode, read, write

FIXTURES = Path(__file__).parents[2] / "fixtures"
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

READ = [
    ("plain_utf8.py", "utf-8", False),
    ("utf8_with_bom.py", "utf-8", True),
    ("crlf_with_tabs.py", "utf-8", False),
    ("mixed_line_endings.py", "utf-8", False),
    ("no_final_newline.py", "utf-8", False),
    ("astral_characters.py", "utf-8", False),
    ("latin1_declared.py", "iso8859-1", False),
    ("ascii_declared_on_second_line.py", "ascii", False),
    ("empty.py", "utf-8", False),
]


@pytest.mark.parametrize(("name", "encoding", "bom"), READ)
def test_reads_and_encodes_byte_for_byte(name: str, encoding: str, bom: bool) -> None:
    file = read(FIXTURES / name)
    assert (file.encoding, file.bom) == (encoding, bom)
    assert file.encode(file.text) == file.raw == (FIXTURES / name).read_bytes()


REFUSED = [
    ("invalid_utf8.py", "not valid utf-8: see byte 11"),
    ("nul_bytes.bin", "NUL byte"),
    ("utf16.txt", "NUL byte"),
    ("shift_jis_declared.py", "declares the encoding shift_jis"),
    ("latin1_declared_with_bom.py", "starts with a UTF-8 byte order mark"),
    ("no_such_file.py", "There is no file"),
    (".", "is a directory"),
]


@pytest.mark.parametrize(("name", "why"), REFUSED)
def test_refuses_in_one_sentence(name: str, why: str) -> None:
    with pytest.raises(FileError, match=why) as caught:
        read(FIXTURES / name)
    assert str(caught.value).endswith(".")


def test_refuses_what_is_too_large(tmp_path: Path) -> None:
    large = tmp_path / "large.py"
    large.write_bytes(b"#" * (textfile.MAX_BYTES + 1))
    with pytest.raises(FileError, match="larger than 5 MB"):
        read(large)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes in the file system")
def test_refuses_a_pipe_instead_of_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="not a regular file"):
        read(tmp_path / "pipe")


def test_refuses_a_name_that_no_file_can_have() -> None:
    with pytest.raises(FileError, match="cannot be read"):
        read(Path("a\0b"))


@pytest.mark.skipif(AS_ROOT, reason="root may read everything")
def test_refuses_an_unreadable_file(tmp_path: Path) -> None:
    path = _file(tmp_path)
    path.chmod(0)
    with pytest.raises(FileError, match="cannot be read: Permission denied"):
        read(path)


DECLARED = [
    (b"# -*- coding: utf-8-unix -*-\n", "utf-8"),
    (b"# vim: set fileencoding=latin-1 :\n", "iso8859-1"),
    (b"#!/usr/bin/python\r# coding=ISO_8859_1\r", "iso8859-1"),
    (b"x = 1\n# coding: latin-1\n", "utf-8"),
    (b"\n\n# coding: latin-1\n", "utf-8"),
    (b"", "utf-8"),
]


@pytest.mark.parametrize(("raw", "encoding"), DECLARED)
def test_honours_what_python_files_declare(raw: bytes, encoding: str) -> None:
    assert decode(raw, "a.py").encoding == encoding
    assert decode(raw, "a.txt").encoding == "utf-8"


def test_refuses_a_text_that_the_encoding_cannot_hold() -> None:
    with pytest.raises(FileError, match=r"no character U\+20AC"):
        read(FIXTURES / "latin1_declared.py").encode("# coding: latin-1\n€")


def test_refuses_an_edit_that_would_make_the_file_another_encoding() -> None:
    file = decode("x = 'ä'\n".encode(), "a.py")
    with pytest.raises(FileError, match="no longer be read as utf-8"):
        file.encode("# coding: latin-1\nx = 'ä'\n")
    with pytest.raises(FileError, match="no longer be read as utf-8"):
        file.encode("\ufeffx = 'ä'\n")


@given(st.text(), st.booleans())
def test_byte_and_character_offsets_agree(text: str, bom: bool) -> None:
    text = text.replace("\0", "").replace("\r", "").removeprefix("\ufeff")
    file = decode((b"\xef\xbb\xbf" if bom else b"") + text.encode("utf-8", "replace"), "a.txt")
    for character in range(len(file.text) + 1):
        assert file.character_at(file.byte_at(character)) == character


def _file(folder: Path, raw: bytes = b"x = 1\n") -> Path:
    path = folder / "a.py"
    path.write_bytes(raw)
    return path


def test_writes_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    path = _file(tmp_path, b"\xef\xbb\xbfx = 1\r\n")
    write(path, read(path), "x = 2\r\n")
    assert path.read_bytes() == b"\xef\xbb\xbfx = 2\r\n"
    assert os.listdir(tmp_path) == ["a.py"]


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o664])
def test_keeps_the_mode(tmp_path: Path, mode: int) -> None:
    path = _file(tmp_path)
    path.chmod(mode)
    write(path, read(path), "x = 2\n")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(not AS_ROOT, reason="only root may give files away")
def test_keeps_the_owner(tmp_path: Path) -> None:
    path = _file(tmp_path)
    os.chown(path, 1234, 2345)
    write(path, read(path), "x = 2\n")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


def test_follows_symbolic_links(tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    path, link = _file(folder), tmp_path / "link.py"
    link.symlink_to("real/a.py")
    write(link, read(link), "x = 2\n")
    assert link.is_symlink()
    assert path.read_bytes() == b"x = 2\n"
    assert sorted(os.listdir(tmp_path)) == ["link.py", "real"]


def test_refuses_a_file_that_changed_since_it_was_read(tmp_path: Path) -> None:
    path = _file(tmp_path)
    file = read(path)
    path.write_bytes(b"x = 3\n")
    with pytest.raises(FileError, match="changed while it was being filled"):
        write(path, file, "x = 2\n")
    assert path.read_bytes() == b"x = 3\n"


def test_refuses_a_file_that_vanished_since_it_was_read(tmp_path: Path) -> None:
    path = _file(tmp_path)
    file = read(path)
    path.unlink()
    with pytest.raises(FileError):
        write(path, file, "x = 2\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(AS_ROOT, reason="root may write everything")
def test_refuses_a_write_protected_file(tmp_path: Path) -> None:
    path = _file(tmp_path)
    path.chmod(0o444)
    with pytest.raises(FileError, match="write-protected"):
        write(path, read(path), "x = 2\n")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners of files")
def test_refuses_a_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(FileError, match="belongs to another user"):
        textfile.check_writable(path)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_on_the_way_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = _file(tmp_path)
    file = read(path)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises((FileError, KeyboardInterrupt)):
        write(path, file, "x = 2\n")
    assert path.read_bytes() == b"x = 1\n"
    assert os.listdir(tmp_path) == ["a.py"]
