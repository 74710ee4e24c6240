"""The runner's code for processors that this one is not, against the obvious network.

AArch64 is cross-compiled and run by qemu (Debian: gcc-aarch64-linux-gnu, qemu-user-static); instructions of x86-64
that this processor lacks are replaced by what `emulated/immintrin.h` does in plain C.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dgemma_model.network.quantized import Checkpoint, Experts, Matrix, Shape
from dgemma_model.network.quantized_library import MATRICES, VECTORS, kinds
from dgemma_model.network.quantized_runner import described_shape
from tests.model.network.quantized_reference import Floats, Reference, random_tensors

# Compiling for other processors takes a minute.
pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "model" / "native" / "quantized"
EMULATED = Path(__file__).parent / "emulated"
FLAGS = ("-std=gnu11", "-O1", "-fno-math-errno", "-ffinite-math-only", "-Wno-psabi", "-static")

SHAPE = Shape(
    vocabulary=277,
    hidden=96,
    layers=1,
    heads=6,
    kv_heads=2,
    head_dim=32,
    inner=160,
    epsilon=1e-6,
    experts=Experts(number=3, chosen=2, width=32, mask=276),
)
TOKENS = 27
BEST = 3


@dataclass(frozen=True)
class Machine:
    """How code for a processor is compiled and run here."""

    compiler: str
    runner: str | None
    emulated: bool

    @property
    def missing(self) -> str:
        """What would have to be installed, or replaced."""
        tools = [tool for tool in (self.compiler, self.runner) if tool and not shutil.which(tool)]
        others = ["x86-64 with AVX2"] if self.emulated and "AVX2" not in kinds() else []
        return ", ".join((*tools, *others))


ARM = Machine("aarch64-linux-gnu-gcc", "qemu-aarch64-static", emulated=False)
X86 = Machine("gcc", None, emulated=True)


def compiled(machine: Machine, folder: Path) -> Path:
    sources = _emulated_sources(folder / "sources") if machine.emulated else SOURCES
    include = ["-I", str(EMULATED), "-I", str(sources)] if machine.emulated else ["-I", str(sources)]
    program = folder / "driver"
    files = [str(path) for path in (*sorted(sources.glob("*.c")), EMULATED / "driver.c")]
    command = [machine.compiler, *FLAGS, *include, "-o", str(program), *files, "-lm", "-lpthread"]
    subprocess.run(command, check=True, capture_output=True)
    return program


def _emulated_sources(folder: Path) -> Path:
    """A copy of the sources that asks the compiler for nothing beyond AVX2, and is compiled sooner."""
    folder.mkdir()
    for path in SOURCES.iterdir():
        text = re.sub(r'#pragma GCC target\(".*"\)', '#pragma GCC target("avx2,fma,f16c")', path.read_text())
        (folder / path.name).write_text(text.replace("UNROLLED = 8", "UNROLLED = 1"))
    return folder


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[Machine, Path]:
    machines = [machine for machine in (ARM, X86) if not machine.missing]
    return {machine: compiled(machine, tmp_path_factory.mktemp("driver")) for machine in machines}


def job(checkpoint: Checkpoint, ids: NDArray[np.int32]) -> bytes:
    s = checkpoint.shape
    parts = [bytes(described_shape(s))]
    parts += [*_matrix(checkpoint.embedding()), *_matrix(checkpoint.head())]
    parts += [_vector(checkpoint, "norm"), checkpoint.frequencies.tobytes()]
    for index in range(s.layers):
        matrices = checkpoint.layer_matrices(index)
        parts += [part for name in MATRICES for part in _matrix(matrices.get(name))]
        parts += [_vector(checkpoint, f"layers.{index}.{name}") for name in VECTORS]
    parts.append(ids.tobytes())
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def _matrix(matrix: Matrix | None) -> Sequence[bytes]:
    if matrix is None:
        return (b"",)
    minima = b"" if matrix.minima is None else matrix.minima.tobytes()
    sizes = np.array((matrix.rows, matrix.columns), np.int32)
    return sizes.tobytes(), matrix.codes.tobytes(), matrix.scales.tobytes(), minima


def _vector(checkpoint: Checkpoint, name: str) -> bytes:
    vector = checkpoint.vector(name)
    return b"" if vector is None else vector.tobytes()


def ran(machine: Machine, program: Path, kind: str, checkpoint: Checkpoint, ids: NDArray[np.int32]) -> bytes:
    (program.parent / "job").write_bytes(job(checkpoint, ids))
    command = [*filter(None, (machine.runner,)), str(program), kind, "2", "job", "result"]
    subprocess.run(command, cwd=program.parent, check=True, capture_output=True)
    return (program.parent / "result").read_bytes()


def assert_same(found: Floats, wanted: Floats) -> None:
    """Equal but for activations between two steps, which may be rounded the other way."""
    difference = np.abs(found - wanted)
    assert np.quantile(difference, 0.25) < 1e-5
    assert difference.mean() < 0.01 * np.abs(wanted).mean()


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    ("machine", "kind"),
    [
        (ARM, "NEON-I8MM"),
        (ARM, "NEON-DOT"),
        (ARM, "plain"),
        (X86, "AVX512-VNNI"),
        (X86, "AVX-VNNI"),
        (X86, "AVX2"),
    ],
)
def test_other_processors_compute_the_same(
    programs: dict[Machine, Path], machine: Machine, kind: str, bits: int
) -> None:
    if machine.missing:
        pytest.skip(f"not installed: {machine.missing}")
    checkpoint = Checkpoint(SHAPE, random_tensors(SHAPE, bits=bits))
    ids = np.random.default_rng(0).integers(0, SHAPE.vocabulary, TOKENS, np.int32)
    ids[[3, 20, 21]] = SHAPE.vocabulary - 1
    result = ran(machine, programs[machine], kind, checkpoint, ids)
    numbers = np.frombuffer(result, np.float32)
    states, scores, best, likelihood, asked = np.split(
        numbers, np.cumsum([TOKENS * SHAPE.hidden, TOKENS * SHAPE.vocabulary, BEST, BEST])
    )
    obvious = Reference(checkpoint, rounded=True)
    causal = np.tril(np.ones((TOKENS, TOKENS), np.bool_))
    wanted = obvious.states(ids, np.arange(TOKENS, dtype=np.int32), causal)
    assert_same(states.reshape(wanted.shape), wanted)
    table = scores.reshape(TOKENS, -1)
    assert_same(table, obvious.scores(states.reshape(wanted.shape)))
    first = table[0] - np.log(np.exp(table[0].astype(np.float64)).sum())
    order = np.argsort(-first)[:BEST]
    assert np.array_equal(best.view(np.int32), order)
    assert np.allclose(likelihood, first[order], atol=1e-5)
    assert np.allclose(asked, first[ids[0]], atol=1e-5)
