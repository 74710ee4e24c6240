"""The table of packages that the corpus is made from: names, versions, licences, archive hashes and splits."""

from __future__ import annotations

import enum
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

PACKAGES_TOML = Path(__file__).with_name("packages.toml")
ALLOWED_LICENCES = frozenset({"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "ISC"})


class CorpusError(Exception):
    """The corpus cannot be made; the message is for the user."""


class Split(enum.Enum):
    """The corpus file that a package's sources go to."""

    TRAIN = "train"
    HELD_OUT = "held_out"


@dataclass(frozen=True)
class Package:
    """One row of packages.toml."""

    name: str
    version: str
    licence: str  # an SPDX expression
    sha256: str  # of the archive
    split: Split


def licence_allowed(expression: str) -> bool:
    """Tell whether the allowed licences satisfy an SPDX expression of AND, which binds closer, and OR."""
    return any(
        all(term.strip() in ALLOWED_LICENCES for term in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


def parse_packages(text: str) -> list[Package]:
    """Read the text of a packages.toml.

    Raises:
        CorpusError: a row is malformed, its licence is not allowed, or a package is named twice.
    """
    try:
        rows = tomllib.loads(text)["package"]
        packages = [Package(**{**row, "split": Split(row["split"])}) for row in rows]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise CorpusError(f"bad table of packages: {error}") from error
    for package in packages:
        if not licence_allowed(package.licence):
            raise CorpusError(f"{package.name}: licence not allowed: {package.licence}")
    repeated = [name for name, count in Counter(p.name.lower() for p in packages).items() if count > 1]
    if repeated:
        raise CorpusError(f"packages named twice: {', '.join(repeated)}")
    return packages
