"""Which documents are left alone."""

from __future__ import annotations

import pytest

from dgemma_lsp.settings.exclusion import Exclusion, Exclusions
from dgemma_lsp.settings.settings import Settings

pytestmark = pytest.mark.timeout(60)

DEFAULTS = Settings().exclude


def reason(path: str, globs: tuple[str, ...] = DEFAULTS, root: str = "/home/me/work") -> Exclusion | None:
    return Exclusions(globs).reason(f"file://{path}", path, [root])


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/work/.env",
        "/home/me/work/app/.env.local",
        "/home/me/work/.envrc",
        "/home/me/work/.env/key.py",
        "/home/me/work/certs/ca.pem",
        "/home/me/work/certs/CA.PEM",
        "/home/me/work/id.key",
        "/home/me/work/a.crt",
        "/home/me/work/a.cert",
        "/home/me/work/.dev.vars",
        "/home/me/work/config/secrets.yml",
        "/elsewhere/.env",
        "/elsewhere/deep/../.env",
    ],
)
def test_secrets_are_left_alone(path: str) -> None:
    assert reason(path) is Exclusion.SETTING


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/work/app.py",
        "/home/me/work/environment.py",
        "/home/me/work/monkey.py",
        "/home/me/work/key/a.py",
        "/elsewhere/app.py",
    ],
)
def test_code_is_not_a_secret(path: str) -> None:
    assert reason(path) is None


def test_above_the_root_of_a_workspace_names_do_not_count() -> None:
    assert reason("/home/.environments/work/a.py", root="/home/.environments/work") is None
    assert reason("/home/.environments/other/a.py", root="/home/.environments/work") is Exclusion.SETTING


@pytest.mark.parametrize(
    ("globs", "path", "excluded"),
    [
        ((), "/home/me/work/.env", False),
        (("**/.env*", "!**/.env.example"), "/home/me/work/.env.example", False),
        (("/src/generated/",), "/home/me/work/src/generated/a.py", True),
        (("/src/generated/",), "/home/me/work/other/src/generated/a.py", False),
        (("*_pb2.py",), "/home/me/work/x/a_pb2.py", True),
        (("!",), "/home/me/work/a.py", False),
    ],
)
def test_the_user_may_name_others(globs: tuple[str, ...], path: str, excluded: bool) -> None:
    assert (reason(path, globs) is Exclusion.SETTING) == excluded


@pytest.mark.parametrize(
    ("uri", "excluded"),
    [
        ("untitled:.env", True),
        ("untitled:Untitled-1", False),
        ("git:/home/me/work/%2Eenv?ref=HEAD", True),
        ("vscode-notebook-cell:/home/me/work/a.ipynb#c1", False),
        ("untitled:/home/.envs/a.py", False),
    ],
)
def test_of_what_is_not_a_file_the_name_counts(uri: str, excluded: bool) -> None:
    found = Exclusions(DEFAULTS).reason(uri, None, ["/home/me/work"])
    assert found is (Exclusion.SETTING if excluded else None)
