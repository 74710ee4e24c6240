"""The wheel, installed alone in an empty environment, away from the repository, fills and serves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

import dgemma_lsp

ROOT = Path(__file__).parent.parent.parent

LARGEST_BYTES = 120_000_000

pytestmark = pytest.mark.timeout(900)

SCRIPTS = "Scripts" if os.name == "nt" else "bin"


@dataclass(frozen=True)
class Installed:
    """The wheel in an environment of its own, and an empty folder to work in."""

    scripts: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = command
        return _run([str(self.scripts / program), *arguments], self.folder, clean_environment())


def clean_environment() -> dict[str, str]:
    """Without anything by which Python could find this repository or this environment."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PYTHONNOUSERSITE": "1", "HF_HUB_OFFLINE": "1"}


def _run(
    command: Sequence[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _must(command: Sequence[str], folder: Path) -> None:
    done = _run(command, folder, clean_environment())
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git knows: nothing that lies about here can slip in, and no build/ stays behind."""
    folder = tmp_path_factory.mktemp("wheel")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "source" / name)
    _must([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", "dist", "./source"], folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("installed")
    _must([sys.executable, "-m", "venv", "venv"], folder)
    python = folder / "venv" / SCRIPTS / "python"
    lock = str(ROOT / "requirements.lock")
    # --no-compile: byte code for all of torch takes longer than everything that runs here.
    _must([str(python), "-m", "pip", "install", "--quiet", "--no-compile", "-c", lock, str(wheel)], folder)
    (folder / "elsewhere").mkdir()
    yield Installed(folder / "venv" / SCRIPTS, folder / "elsewhere")
    shutil.rmtree(folder / "venv", ignore_errors=True)


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_a_size_that_people_download(wheel: Path) -> None:
    assert wheel.stat().st_size <= LARGEST_BYTES


def test_the_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    information = f"dgemma_lsp-{dgemma_lsp.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names_in(wheel)} == {"dgemma_lsp", "dgemma_model", information}


def test_the_wheel_holds_the_whole_checkpoint(wheel: Path) -> None:
    folder = ROOT / "model" / "checkpoint"
    files = {f"dgemma_model/checkpoint/{path.name}" for path in folder.iterdir() if path.is_file()}
    assert {"dgemma_model/checkpoint/config.json", "dgemma_model/checkpoint/model.safetensors"} <= files
    assert files <= names_in(wheel)


def test_both_commands_say_their_version(installed: Installed) -> None:
    for program in ("dgemma-edit", "dgemma-lsp"):
        done = installed.run(program, "--version")
        assert (done.returncode, done.stderr) == (0, "")
        assert dgemma_lsp.__version__ in done.stdout


def test_it_is_the_wheel_that_runs(installed: Installed) -> None:
    where = "import dgemma_lsp, dgemma_model; print(dgemma_lsp.__file__, dgemma_model.__file__)"
    done = installed.run("python", "-c", where)
    assert done.returncode == 0, done.stderr
    assert all(Path(path).is_relative_to(installed.scripts.parent) for path in done.stdout.split())


def test_it_fills_a_region_with_the_bundled_model(installed: Installed) -> None:
    text = "def area(width: float, height: float) -> float:\n    return ...\n"
    (installed.folder / "shapes.py").write_text(text, encoding="utf-8")
    # Whether the model is sure is not the question here: any fill is taken.
    done = installed.run("dgemma-edit", "shapes.py", "--span", "2:12:2:15", "--min-confidence", "0", "--json")
    assert done.returncode in (0, 1), done.stderr
    answer = json.loads(done.stdout)
    assert answer["engine"]["parameters"] > 1_000_000
    assert answer["steps"] >= 1
    assert answer["alternatives"]  # a guess or two may stand beside what was denoised
    assert all(isinstance(fill, str) for each in answer["alternatives"] for fill in each["fills"])
    assert (installed.folder / "shapes.py").read_text("utf-8") == text


@pytest.fixture
def server(installed: Installed) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [str(installed.scripts / "dgemma-lsp"), "--stdio"],
        cwd=installed.folder,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    yield process
    process.kill()
    process.communicate()


def test_it_serves_an_editor(server: subprocess.Popen[bytes]) -> None:
    capabilities = {"textDocument": {"inlineCompletion": {}}}
    answer = request(server, "initialize", {"processId": None, "rootUri": None, "capabilities": capabilities})
    assert answer["capabilities"]["inlineCompletionProvider"] is not None
    assert answer["serverInfo"]["version"] == dgemma_lsp.__version__
    assert request(server, "shutdown", None) is None
    send(server, {"jsonrpc": "2.0", "method": "exit"})
    assert server.wait(timeout=30) == 0


def request(server: subprocess.Popen[bytes], method: str, params: object) -> Any:
    """The result of a request; whatever else the server has to say meanwhile is passed over."""
    send(server, {"jsonrpc": "2.0", "id": method, "method": method, "params": params})
    assert server.stdout is not None
    while True:
        message = receive(server.stdout)
        if message.get("id") == method and "method" not in message:
            assert "error" not in message, message
            return message["result"]


def send(server: subprocess.Popen[bytes], message: dict[str, object]) -> None:
    assert server.stdin is not None
    body = json.dumps(message).encode()
    server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    server.stdin.flush()


def receive(stream: IO[bytes]) -> dict[str, Any]:
    length = 0
    while (line := stream.readline().strip()) or not length:
        assert line, "the server closed its output"
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    message: dict[str, Any] = json.loads(stream.read(length))
    return message
