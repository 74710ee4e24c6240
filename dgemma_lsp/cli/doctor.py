"""``dgemma-lsp doctor``: what is installed, what the machine can do, whether a fill works, and how long it takes."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from dgemma_lsp import __version__
from dgemma_lsp.engines.base import Engine, EngineError
from dgemma_model.protocol import Draft, FillOptions, FillRequest

PACKAGES = (
    "pygls",
    "lsprotocol",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "tree-sitter",
)

CPU_FEATURES = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "neon",
    "asimd",
    "bf16",
)
"""The features that make the model faster or slower."""

_PREFIX = "def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return "
_SUFFIX = "\n\n\nprint(subtract(3, 2))\n"


@dataclass(frozen=True, slots=True)
class TimedFill:
    """A fill, and how long it took.

    Attributes:
        model: the model's name.
        parameters: how many parameters it has.
        device: where it runs.
        dtype: the type of number that it computes with.
        load_seconds: how long the model took to load.
        first_milliseconds: how long the first fill took.
        warm_milliseconds: how long the same fill took again.
        text: the text that was filled in.
        confidence: how sure the model is of it, 0..1.
    """

    model: str
    parameters: int
    device: str
    dtype: str
    load_seconds: float
    first_milliseconds: float
    warm_milliseconds: float
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor found.

    Attributes:
        versions: the version of each package; None for one that is not installed.
        system: the operating system and Python.
        processor: the processor's name.
        cores: how many cores it has.
        features: those of `CPU_FEATURES` that it has.
        gpu: the names of the NVIDIA GPUs.
        fill: the fill that was timed; None if it failed.
        problem: why the fill failed, or "".
    """

    versions: dict[str, str | None]
    system: str
    processor: str
    cores: int
    features: list[str]
    gpu: list[str]
    fill: TimedFill | None
    problem: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    def lines(self) -> Iterator[str]:
        """Yield the lines that people read."""
        yield "versions   " + ", ".join(
            f"{name} {version or 'missing'}" for name, version in self.versions.items()
        )
        yield f"system     {self.system}"
        yield f"processor  {self.processor}, {self.cores} cores; {', '.join(self.features) or 'nothing special'}"
        yield f"GPU        {', '.join(self.gpu) or 'none that nvidia-smi knows'}"
        if self.fill is None:
            yield f"model      {self.problem}"
            return
        fill = self.fill
        yield (
            f"model      {fill.model}, {fill.parameters / 1e6:.1f} M parameters, on {fill.device} in {fill.dtype}; "
            f"ready after {fill.load_seconds:.1f} s"
        )
        yield (
            f"a fill     {fill.first_milliseconds:.0f} ms, then {fill.warm_milliseconds:.0f} ms: "
            f"{fill.text!r}, {fill.confidence:.0%} sure"
        )


def examine(engine: Engine) -> Report:
    """Check everything. The engine is loaded, asked twice and closed."""
    fill, problem = None, ""
    try:
        fill = _timed_fill(engine)
    except EngineError as error:
        problem = str(error)
    finally:
        engine.close()
    return Report(
        {"dgemma-lsp": __version__, **{name: _version(name) for name in PACKAGES}},
        f"{platform.platform()}, Python {platform.python_version()}",
        _processor(),
        os.cpu_count() or 1,
        [name for name in CPU_FEATURES if name in _cpu_flags()],
        _gpus(),
        fill,
        problem,
    )


def _timed_fill(engine: Engine) -> TimedFill:
    began = time.perf_counter()
    info = engine.load()
    loaded = time.perf_counter()
    _fill(engine)
    between = time.perf_counter()
    final = _fill(engine)
    ended = time.perf_counter()
    best = final.alternatives[0][0]
    return TimedFill(
        info.model,
        info.parameters,
        info.device,
        info.dtype,
        loaded - began,
        1000 * (between - loaded),
        1000 * (ended - between),
        best.text,
        best.confidence,
    )


def _fill(engine: Engine) -> Draft:
    request = FillRequest((_PREFIX, _SUFFIX), ("",), FillOptions(single_line=True))
    *_, final = engine.drafts(request, lambda: False)
    return final


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_flags() -> frozenset[str]:
    return frozenset(_cpu_entry("flags", "Features").split())


def _processor() -> str:
    return _cpu_entry("model name") or platform.processor() or platform.machine()


def _cpu_entry(*names: str) -> str:
    """Return what Linux says about the first processor under one of these names, or ""."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


def _gpus() -> list[str]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    listing = _output([command, "--query-gpu=name,memory.total", "--format=csv,noheader"])
    return [line.strip() for line in listing.splitlines() if line.strip()]


def _output(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
