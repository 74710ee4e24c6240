"""Training in several processes of one machine, each with rows of its own, so that every core has work.

Each process holds the whole network and computes the gradients of its own rows; all go on with the mean of them, and so
have the same weights after every step. They meet in a file, tell each other over this machine's loopback when they are
ready, and exchange numbers in memory that all of them see. This module knows nothing of rows, losses or optimizers.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from torch.distributed import FileStore, ProcessGroupGloo, Store  # type: ignore[attr-defined]
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

from dgemma_model.errors import ModelError

PATIENCE = timedelta(minutes=30)
"""How long a process waits for one that lives and does nothing; one that ends is noticed at once."""

_PRECEDENCE = 5.0
"""Seconds that a process which another has left waits before it fails, so that the other one's failure is told."""

T = TypeVar("T")


class LeftAloneError(ModelError):
    """Another process has ended, or does not answer."""


class Connection:
    """What joins the members of a group."""

    def __init__(self, store: Store, rank: int, size: int, patience: timedelta = PATIENCE) -> None:
        """Returns when all members have met in the store."""
        self.rank, self.size = rank, size
        self._store, self._gloo = store, ProcessGroupGloo(store, rank, size, patience)
        self._rooms, self._room = 0, torch.empty(size + 2, 0)

    def meet(self) -> None:
        """Go on when all members have come here.

        Raises:
            LeftAloneError: one of them has ended.
        """
        try:
            self._gloo.barrier().wait()  # type: ignore[attr-defined]
        except RuntimeError as error:
            raise LeftAloneError("Another process of the training has ended or no longer answers.") from error

    def room(self, numbers: int) -> Tensor:
        """Memory of all members, [size + 2, numbers] float32: a row for each of them and two for all.

        A file that has no name any more, since shared memory proper is scarce in containers.
        """
        if self._room.shape[1] < numbers:
            self._rooms += 1
            key = f"room {self._rooms}"
            if self.rank == 0:
                handle, path = tempfile.mkstemp()
                os.close(handle)
                self._room = self._mapped(path, numbers)
                self._store.set(key, path)
            else:
                path = self._store.get(key).decode()
                self._room = self._mapped(path, numbers)
            self.meet()
            if self.rank == 0:
                os.unlink(path)
        return self._room[:, :numbers]

    def _mapped(self, path: str, numbers: int) -> Tensor:
        rows = self.size + 2
        return torch.from_file(path, shared=True, size=rows * numbers).view(rows, numbers)


class Group:
    """The processes that train together, as one of them sees them; one alone unless a connection is given.

    Attributes:
        rank: of this process among them.
        size: how many they are.
    """

    def __init__(self, rank: int = 0, size: int = 1, connection: Connection | None = None) -> None:
        self.rank, self.size = rank, size
        self._connection = connection

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def average(self, parameters: Sequence[Tensor], figures: Sequence[float]) -> list[float]:
        """Replace gradients by their mean over all processes; a parameter that none has used keeps none.

        They lie in memory of all processes, which the next call overwrites.

        Args:
            parameters: on a CPU, float32, the same in all processes.
            figures: a few numbers of this process.

        Returns:
            The figures' means over all processes, equal in each of them; rounded to float32.

        Raises:
            LeftAloneError: another process has ended.
        """
        if self._connection is None:
            return list(figures)
        used = [float(parameter.grad is not None) for parameter in parameters]
        sizes = [*(parameter.numel() for parameter in parameters), len(used), len(figures)]
        room = self._connection.room(sum(sizes))
        own, mean = room[self.rank].split(sizes), room[-2]
        for parameter, place in zip(parameters, own, strict=False):
            _ = place.zero_() if parameter.grad is None else place.copy_(parameter.grad.flatten())
        own[-2].copy_(torch.tensor(used))
        own[-1].copy_(torch.tensor(figures))
        self._connection.meet()
        part = room[:, self.rank * room.shape[1] // self.size : (self.rank + 1) * room.shape[1] // self.size]
        torch.sum(part[:-2], 0, out=part[-2]).div_(self.size)
        self._connection.meet()
        *means, shares, agreed = mean.split(sizes)
        for parameter, found, share in zip(parameters, means, shares.tolist(), strict=True):
            parameter.grad = found.view_as(parameter) if share else None
        told: list[float] = agreed.tolist()
        return told

    def share(self, work: Callable[[Tensor], Tensor], given: Sequence[Tensor]) -> list[Tensor]:
        """Do work that all processes would do alike, each a part of it.

        Args:
            work: makes of a tensor another one of its shape and type.
            given: the same in all processes, of one type.

        Returns:
            What it makes of each, the same in all processes.

        Raises:
            LeftAloneError: another process has ended.
        """
        if self._connection is None:
            return [work(one) for one in given]
        sizes = [one.numel() for one in given]
        parts = self._connection.room(sum(sizes))[-1].split(sizes)
        largest_first = sorted(range(len(given)), key=lambda index: -sizes[index])
        for index in largest_first[self.rank :: self.size]:
            parts[index].copy_(work(given[index]).flatten())
        self._connection.meet()
        found = [part.view_as(one).to(one.dtype, copy=True) for part, one in zip(parts, given, strict=True)]
        self._connection.meet()
        return found


def member(store: Store, rank: int, size: int, patience: timedelta = PATIENCE) -> Group:
    """Join a group; returns when all its members have met in the store."""
    return Group(rank, size, Connection(store, rank, size, patience))


def work_together(work: Callable[[Group, T], None], given: T, processes: int) -> None:
    """Do the same work in so many new processes, or in this one where one is enough, and wait for them.

    Args:
        work: a function of a module, as it is looked up there by its name.
        given: to each; it is pickled.
        processes: how many; when one fails or this one is interrupted, the others are ended.

    Raises:
        ModelError: one of them has failed.
    """
    if processes == 1:
        work(Group(), given)
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        meeting = str(Path(folder) / "meeting")
        context = start_processes(_join, (work, given, processes, meeting), processes, join=False)
        try:
            while not context.join():
                pass
        except ProcessRaisedException as error:
            sys.stderr.write(f"{error}\n")  # its traceback
            reason = str(error).strip().rpartition("\n")[2]
            raise ModelError(f"Process {error.error_index} of the training failed: {reason}") from error
        except ProcessExitedException as error:
            ending = error.signal_name or f"status {error.exit_code}"
            raise ModelError(f"Process {error.error_index} of the training was ended by {ending}.") from error
        finally:
            for process in context.processes:
                process.terminate()


def _join(rank: int, work: Callable[[Group, T], None], given: T, size: int, meeting: str) -> None:
    _stay_on_this_machine()
    try:
        work(member(FileStore(meeting, size), rank, size), given)
    except LeftAloneError:
        time.sleep(_PRECEDENCE)
        raise


def _stay_on_this_machine() -> None:
    """Let gloo listen on the loopback only, where it has a name; gloo itself would take the host's address."""
    names = {name for _, name in socket.if_nameindex()} & {"lo", "lo0"}
    if names:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", min(names))
