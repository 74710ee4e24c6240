"""Write the settings of the server into ``:help dgemma``: ``python -m docs.neovim_settings``. A test looks at it."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from dgemma_lsp.settings import Leaf, leaves, plain

HELP = Path(__file__).parent.parent / "editors/neovim/doc/dgemma.txt"
BEGIN = "						*dgemma-settings*\n"
END = "=" * 78 + "\n"

INTRODUCTION = """\
What the server does, as `init_options` of |vim.lsp.config()| or as `dgemma` in
its `settings`; inner names as tables: >lua

    vim.lsp.config('dgemma', {
      init_options = { automatic = { minConfidence = 0.3 } },
    })
<
"""


def main() -> None:
    """Replace the section."""
    HELP.write_text(with_settings(HELP.read_text("utf-8")), "utf-8")


def with_settings(text: str) -> str:
    """The help with the section as it must be."""
    before, _, behind = text.partition(BEGIN)
    _, _, after = behind.partition(END)
    section = "\n".join([INTRODUCTION, *map(_entry, leaves())])
    return before + BEGIN + section + "\n" + END + after


def _entry(leaf: Leaf) -> str:
    told = f"{leaf.description[:1].upper()}{leaf.description[1:]} It must be {leaf.rule.allowed}."
    default = json.dumps(plain(leaf.default), ensure_ascii=False)
    lines = textwrap.wrap(told, 62) + textwrap.wrap(f"Default: {default}", 62)
    return f"`{leaf.name}`\n" + "".join(f"\t\t{line}\n" for line in lines)


if __name__ == "__main__":
    main()
