"""The pictures of pages in docs/images, from the real thing: python maintain/screenshots.py out/demo

    make demo
    .venv/bin/python maintain/screenshots.py out/demo           # all of them
    .venv/bin/python maintain/screenshots.py out/demo view      # those of one page

Each page is opened in Chromium at 1400 and at 390 pixels. A new one is a function here and a line in `PAGES`.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from chromium import Browser  # noqa: E402 - the browser of the tests

IMAGES = ROOT / "docs" / "images"
WIDTHS = {1400: 900, 390: 844}
"""Width → height, in pixels."""
COLOURS = 128


@contextlib.contextmanager
def served(*command: str | Path) -> Iterator[str]:
    """The address that a command prints, as long as the block lasts."""
    words = [sys.executable, "-m", "judge.cli", *map(str, command)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield next(line.strip() for line in process.stdout if line.startswith("http://"))
    finally:
        process.terminate()
        process.wait()


def keep(browser: Browser, name: str) -> None:
    """What the browser shows, as docs/images/NAME.png of few colours."""
    image = Image.open(io.BytesIO(browser.driver.get_screenshot_as_png())).convert("RGB")
    IMAGES.mkdir(exist_ok=True)
    image.quantize(COLOURS).save(IMAGES / f"{name}.png", optimize=True)


def view(browser: Browser, demo: Path) -> None:
    """`mmjudge view`: two runs of MMIE's demo beside each other; on a narrow screen the list, then one answer."""
    with served("view", demo / "mmie", demo / "mmie_system") as address:
        for width, height in WIDTHS.items():
            browser.resize(width, height)
            browser.driver.get("about:blank")
            browser.driver.get(f"{address}#sort=gain")
            browser.wait("return document.querySelector('#list a')")
            if width < 600:
                keep(browser, f"view-list-{width}")
            browser.run("document.querySelector('#list a').click()")
            browser.wait("return document.querySelector('#shown .card')")
            browser.wait("return [...document.images].every((image) => image.complete || !image.offsetParent)")
            keep(browser, f"view-{width}")


PAGES: dict[str, Callable[[Browser, Path], None]] = {"view": view}


def main() -> None:
    demo, *wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(profile)
        try:
            for name in wanted or PAGES:
                PAGES[name](browser, Path(demo).absolute())
        finally:
            browser.driver.quit()


if __name__ == "__main__":
    main()
