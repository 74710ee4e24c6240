"""Files as text and back, byte for byte.

This module knows encodings, byte order marks and safe writing. It knows nothing about fills or models.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dgemma_lsp.text.line_breaks import LINE_BREAK
from dgemma_lsp.text.masked import RegionError

MAX_BYTES = 5_000_000
PYTHON_SUFFIXES = frozenset({".py", ".pyi", ".pyw"})

_LINE_BREAK = re.compile(LINE_BREAK.pattern.encode())
# As in PEP 263: the first two lines, the second only when the first says nothing but a comment.
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"^[ \t\f]*(?:#.*)?$")


class FileError(Exception):
    """A file cannot be read or written as text; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file's bytes and the text in them.

    Attributes:
        raw: the bytes as they were read.
        text: the decoded text without the byte order mark, with its own line endings.
        encoding: "utf-8", "ascii" or "iso8859-1".
        bom: whether ``raw`` starts with a UTF-8 byte order mark.
        name: the name that messages use and that tells the language.
    """

    raw: bytes
    text: str
    encoding: str
    bom: bool
    name: str

    @property
    def is_python(self) -> bool:
        """Whether the name is that of a Python file."""
        return _is_python(self.name)

    def encode(self, text: str) -> bytes:
        """Encode a text as this file is encoded, with its byte order mark.

        Raises:
            FileError: the encoding lacks a character, or ``text`` declares another encoding than the file's.
        """
        try:
            raw = (codecs.BOM_UTF8 if self.bom else b"") + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            character = text[error.start]
            raise FileError(
                f"{self.name} is {self.encoding}, which has no character U+{ord(character):04X}."
            ) from error
        if (again := decode(raw, self.name)).encoding != self.encoding or again.text != text:
            raise FileError(f"{self.name} would no longer be read as {self.encoding} after this edit.")
        return raw

    def character_at(self, byte: int) -> int:
        """Return the character offset of a 0-based byte offset. Byte 0 is the start of the text, after any BOM.

        Raises:
            RegionError: the byte lies outside the file, or not between two characters.
        """
        mark = len(codecs.BOM_UTF8) if self.bom else 0
        if byte > len(self.raw):
            raise RegionError(f"Byte {byte} lies outside {self.name}, which has {len(self.raw)} bytes.")
        if 0 < byte < mark:
            raise RegionError(f"Byte {byte} of {self.name} lies inside its byte order mark.")
        if self.encoding == "utf-8" and 0 < byte < len(self.raw) and self.raw[byte] & 0xC0 == 0x80:
            raise RegionError(f"Byte {byte} of {self.name} lies inside a character.")
        if self.raw[byte - 1 : byte + 1] == b"\r\n":
            raise RegionError(f"Byte {byte} of {self.name} lies between the two halves of a line ending.")
        return len(self.raw[mark : max(byte, mark)].decode(self.encoding))

    def byte_at(self, character: int) -> int:
        """Return the 0-based byte offset of a character offset."""
        return (len(codecs.BOM_UTF8) if self.bom else 0) + len(self.text[:character].encode(self.encoding))


def read(path: Path) -> TextFile:
    """Read a text file.

    Raises:
        FileError: the file is missing, not a regular file, unreadable, larger than `MAX_BYTES`, or not text.
    """
    return decode(_read_bytes(path), str(path))


def decode(raw: bytes, name: str) -> TextFile:
    """Decode bytes as UTF-8, or as the encoding that a Python file declares.

    Raises:
        FileError: the bytes are too many, binary, invalid in their encoding, or in an unsupported one.
    """
    if len(raw) > MAX_BYTES:
        raise FileError(f"{name} is larger than {MAX_BYTES // 1_000_000} MB.")
    if b"\0" in raw:
        raise FileError(f"{name} is not text: it has a NUL byte.")
    bom = raw.startswith(codecs.BOM_UTF8)
    body = raw[len(codecs.BOM_UTF8) :] if bom else raw
    encoding = _declared_encoding(body, name) if _is_python(name) else "utf-8"
    if bom and encoding != "utf-8":
        raise FileError(f"{name} declares {encoding} but starts with a UTF-8 byte order mark.")
    try:
        return TextFile(raw, body.decode(encoding), encoding, bom, name)
    except UnicodeDecodeError as error:
        at = error.start + len(raw) - len(body)
        raise FileError(f"{name} is not valid {encoding}: see byte {at}.") from error


def check_writable(path: Path) -> None:
    """Refuse what `write` would refuse, before any time is spent on a fill.

    Raises:
        FileError: the file is write-protected, or its folder is, or it belongs to another user.
    """
    target = _target(path)
    # os.replace would replace even a read-only file, so the file's own mode is checked.
    if not os.access(target, os.W_OK):
        raise FileError(f"{path} is write-protected.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise FileError(f"{path} cannot be replaced: its folder is write-protected.")
    if _foreign(target):
        raise FileError(f"{path} belongs to another user, and replacing it would make it yours.")


def write(path: Path, file: TextFile, text: str) -> None:
    """Replace the file's text in one step: a crash leaves the old file or the new one, never a mixture.

    Symbolic links are followed; mode and owner are kept. Other hard links keep the old text.

    Raises:
        FileError: the text cannot be encoded, the file has changed since it was read, or it cannot be written.
    """
    raw = file.encode(text)
    check_writable(path)
    if _read_bytes(path) != file.raw:
        raise FileError(f"{path} changed while it was being filled, so it was left alone.")
    try:
        _replace(_target(path), raw)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}.") from error


def _read_bytes(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise FileError(f"{path} is a directory.")
        # Opening a pipe or a device could block for ever.
        if not stat.S_ISREG(mode):
            raise FileError(f"{path} is not a regular file.")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise FileError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise FileError(f"{path} cannot be read: {reason or error}.") from error


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _foreign(target: Path) -> bool:
    """Whether the file's owner would be lost when it is replaced."""
    return hasattr(os, "geteuid") and os.geteuid() not in {0, target.stat().st_uid}


def _replace(target: Path, raw: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(raw)
            stream.flush()
            _keep_owner_and_mode(target, name)
            os.fsync(stream.fileno())
        os.replace(name, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    _sync_folder(target.parent)


def _keep_owner_and_mode(target: Path, name: str) -> None:
    was = target.stat()
    now = os.stat(name)
    if (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid):
        os.chown(name, was.st_uid, was.st_gid)
    # This comes after chown, which clears the set-id bits.
    os.chmod(name, stat.S_IMODE(was.st_mode))


def _sync_folder(folder: Path) -> None:
    # The new file is in place already, and some file systems refuse to sync a folder.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _is_python(name: str) -> bool:
    return Path(name).suffix.lower() in PYTHON_SUFFIXES


def _declared_encoding(body: bytes, name: str) -> str:
    for line in _LINE_BREAK.split(body[:10_000], maxsplit=2)[:2]:
        if declaration := _CODING.match(line):
            return _supported_encoding(declaration[1].decode("ascii", "replace"), name)
        if not _BLANK.match(line):
            break
    return "utf-8"


def _supported_encoding(declared: str, name: str) -> str:
    # Emacs writes names such as utf-8-unix and latin-1-dos, which Python accepts but codecs.lookup does not.
    plain = re.sub(r"^(utf-8|latin-1|iso-8859-1)-.*", r"\1", declared.lower().replace("_", "-"))
    with suppress(LookupError, ValueError):
        if (known := codecs.lookup(plain).name) in {"utf-8", "ascii", "iso8859-1"}:
            return known
    raise FileError(f"{name} declares the encoding {declared}; only utf-8, ascii and latin-1 are supported.")
