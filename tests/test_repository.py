"""What must hold of the files in the repository, whatever they say."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import dgemma_lsp

ROOT = Path(__file__).parent.parent

LARGEST_BYTES = 100_000_000

MACHINE_PATH = re.compile(r"(?<![\w.~$}\])>])/(?:work|root|opt/(?!homebrew)\w+)/[\w.-]")
"""A path that exists on one machine only."""

PRIVATE_INDEX = re.compile(
    r"(?:index[-_]url|find[-_]links)[ =]+[\"']?(?!https://download\.pytorch\.org/)(?:file:|https?:|/)",
    re.IGNORECASE,
)
"""Where one machine gets its packages from; the CPU builds of torch are everybody's."""

FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(
    r"\]\(\s*<?([^)\s>]+)|<(?:img|a)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE
)


def repository_files() -> list[Path]:
    """Tracked files, and new ones that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def read_text(path: Path) -> str | None:
    """The text of a file; None for a binary one."""
    raw = path.read_bytes()
    return None if b"\0" in raw[:8192] else raw.decode("utf-8", "replace")


def broken_links(markdown: str, folder: Path) -> list[str]:
    """Links to files that are not there; links to elsewhere and into the page itself are not looked at."""
    prose = FENCED.sub("", markdown)
    targets = (next(filter(None, groups)) for groups in LINK.findall(prose))
    local = (target for target in targets if not re.match(r"[a-z][a-z0-9+.-]*:|#", target))
    return [target for target in local if not (folder / target.partition("#")[0]).exists()]


@pytest.mark.parametrize("pattern", [MACHINE_PATH, PRIVATE_INDEX], ids=["paths", "package indexes"])
def test_nothing_names_the_machine_it_was_made_on(pattern: re.Pattern[str]) -> None:
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in repository_files()
        if (text := read_text(path)) and (match := pattern.search(text))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE_PATH, "see /" + "work/shared/notes.md"),
        (MACHINE_PATH, '"/' + 'root/.cache"'),
        (MACHINE_PATH, "file:///" + "opt/mirror/simple"),
        (PRIVATE_INDEX, "pip install --extra-index-url" + " https://packages.example"),
        (PRIVATE_INDEX, "PIP_FIND_LINKS" + "=/wheels"),
    ],
)
def test_such_names_are_recognised(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


@pytest.mark.parametrize(
    "text", ["src/work/shared.py", "~/work/notes", "https://example.org/root/page", "$HOME/opt/x/y"]
)
def test_other_paths_are_not_taken_for_such_names(text: str) -> None:
    assert not MACHINE_PATH.search(text)


def test_no_file_is_too_large_for_a_git_host() -> None:
    assert {path: size for path in repository_files() if (size := path.stat().st_size) > LARGEST_BYTES} == {}


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert dgemma_lsp.__version__ == project["version"]


def test_the_changelog_knows_this_version() -> None:
    sections = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert {"Unreleased", dgemma_lsp.__version__} & set(sections)


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\s<>=!~;\[]", requirement)[0] for requirement in wanted}
    locked = re.findall(r"^([\w.-]+)==[\w.]+$", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    assert names - set(locked) == set()


MARKDOWN = [path for path in repository_files() if path.suffix == ".md" and "fixtures" not in path.parts]


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_there(path: Path) -> None:
    assert broken_links(path.read_text("utf-8"), path.parent) == []


def test_a_broken_link_is_seen() -> None:
    page = '[a](pyproject.toml) ![b](none.svg) [c](https://x.org/y) [d](#top) <img src="gone.png">\n```\n[e](f)\n```\n'
    assert broken_links(page, ROOT) == ["none.svg", "gone.png"]


def test_every_make_command_that_is_named_exists() -> None:
    phony = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    pages = ("README.md", "CONTRIBUTING.md", ".ci/run", ".pre-commit-config.yaml")
    text = "\n".join((ROOT / page).read_text("utf-8") for page in pages)
    named = set(re.findall(r"(?:^|`|entry: |step )make ([a-z0-9]+)", text, re.MULTILINE))
    assert named
    assert named <= set(" ".join(phony).split())


MAP = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)


def mapped_paths(page: str) -> list[str]:
    """The paths in the file tree of a page: names that end in / or hold a dot, indented by their depth."""
    tree = MAP.search(page)
    assert tree is not None, "the page has no map"
    folders: list[str] = []
    paths: list[str] = []
    for line in tree[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.match(r"(?:[\w.*-]+(?:/|\.\w+)(?: +|$))+", line.lstrip())
        assert names is not None, line
        for name in names[0].split():
            paths.append("/".join([*folders[:depth], name.rstrip("/")]))
            if name.endswith("/"):
                folders[depth:] = [name.rstrip("/")]
    return paths


def test_the_map_shows_what_there_is() -> None:
    paths = mapped_paths((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    assert [path for path in paths if not list(ROOT.glob(path))] == []


def test_every_file_of_the_product_is_on_the_map() -> None:
    paths = mapped_paths((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "dgemma_lsp").rglob("*.py")}
    assert {path for path in files if not path.endswith("__init__.py")} - set(paths) == set()


def test_a_file_that_is_gone_from_the_map_is_seen() -> None:
    page = "```text\na/       a folder\n  b.py  c.toml  two files\n  d/\n    e.py\nf/\n```\n"
    assert mapped_paths(page) == ["a", "a/b.py", "a/c.toml", "a/d", "a/d/e.py", "f"]
