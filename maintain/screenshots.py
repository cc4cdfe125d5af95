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
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(IMAGES / f"{name}.png", optimize=True)


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


def report(browser: Browser, demo: Path) -> None:
    """`mmjudge report`: two runs of MMVU's demo questions and two of MMIE's."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        questions = run_python("-m", "mmvu_tasks.demo").strip()
        for name in ("hasty", "careful"):
            answers = ROOT / "examples" / "answers" / f"{name}.jsonl"
            mmjudge("score", answers, "--benchmark", "mmvu", "--data", questions, "--out", out / name)
        runs = [out / "hasty", out / "careful", f"one model={demo / 'mmie'}", f"system of two={demo / 'mmie_system'}"]
        mmjudge("report", *runs, "--out", out / "report.html")
        for width in WIDTHS:
            browser.resize(width, 1800 if width > 600 else 1500)
            browser.driver.get((out / "report.html").as_uri())
            keep(browser, f"report-{width}")
        browser.resize(1400, 1500)
        browser.run("document.querySelector('#mmvu').scrollIntoView({ behavior: 'instant' })")
        keep(browser, "report-charts-1400")


def annotate(browser: Browser, demo: Path) -> None:
    """`mmjudge annotate`: an answer of MMIE's demo, being scored."""
    answers = next(demo.glob("lmms-eval/*_samples_mmie_demo.jsonl"))
    questions = run_python("-m", "mmie_tasks.demo").strip()
    with tempfile.TemporaryDirectory() as folder:
        given = [f"scripted={answers}", "--benchmark", "mmie", "--data", questions, "--annotator", "a1"]
        given += ["--image-root", str(demo / "pictures"), "--out", str(Path(folder) / "scores.jsonl")]
        with served("annotate", *given) as address:
            for width, height in WIDTHS.items():
                browser.resize(width, height)
                browser.driver.get(address)
                browser.wait("return document.images.length > 0")
                browser.wait("return [...document.images].every((image) => image.complete || !image.offsetParent)")
                keep(browser, f"annotate-{width}")


def mmjudge(*words: str | Path) -> str:
    """What a command prints."""
    return run_python("-m", "judge.cli", *words)


def run_python(*words: str | Path) -> str:
    """What Python prints."""
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


PAGES: dict[str, Callable[[Browser, Path], None]] = {"view": view, "report": report, "annotate": annotate}


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
