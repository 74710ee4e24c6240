"""The devices that a network may run on."""

from __future__ import annotations

from enum import StrEnum

from dgemma_model.errors import ModelError


class Device(StrEnum):
    """Kinds of devices. A name may also say which one of the kind is meant, as in ``cuda:1``."""

    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


def check_device(name: str) -> None:
    """Refuse a device that there is not; raises ModelError."""
    kind = name.partition(":")[0]
    if kind not in set(Device):
        raise ModelError(f"There is no device {name}; use cpu, cuda or mps.")
    if kind == Device.CUDA and not _has_cuda():
        raise ModelError("There is no CUDA device on this machine; use the device cpu.")


def _has_cuda() -> bool:
    import torch  # takes a second, and who runs on the CPU may do without

    return torch.cuda.is_available()
