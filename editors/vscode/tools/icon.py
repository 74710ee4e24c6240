"""media/icon.svg → media/icon.png, which the list of extensions shows. Run where the tests of the extension run."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

MEDIA = Path(__file__).parent.parent / "media"
PAGE = "<style>body { margin: 0 } svg { display: block }</style>"


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 256, "height": 256})
        page.set_content(PAGE + (MEDIA / "icon.svg").read_text("utf-8"))
        page.screenshot(path=MEDIA / "icon.png", omit_background=True)
        browser.close()


if __name__ == "__main__":
    main()
