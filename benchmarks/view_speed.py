"""How long `mmjudge view` takes to show its list, and to answer a search, in a real browser.

    python benchmarks/view_speed.py                     3 runs of 20,103 answers, made in a temporary folder
    python benchmarks/view_speed.py --runs 12 --times 5 --json view.json

    start     from the start of the command to the first rows being shown in Chromium
    first     a search right after that, while the texts may still be read
    search    further searches: a rare word, one that stands in most texts, two words, a phrase
    row       from a key to the next answer in full

Answers have 600 to 1,500 characters, questions 200 to 700, feedback 300 to 900, with probabilities of every score, as
a judge that runs here gives them. Words are drawn by Zipf's law from 5,000. The browser runs already, on an empty page.
The time of each is the median of `--times`; the machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from chromium import Browser, in_browser  # noqa: E402 - the browser of the tests

from judge.core.benchmark import Source, find  # noqa: E402
from judge.core.request import Text  # noqa: E402
from judge.core.signature import Signature  # noqa: E402
from judge.core.verdict import Verdict  # noqa: E402
from judge.io.samples import Missing, Sample, write_samples  # noqa: E402
from judge.results.result import build_result  # noqa: E402
from judge.results.run_folder import RunFolder  # noqa: E402

N = 20_103
WORDS = 5_000
CORPUS = 2_000_000
"""Characters that texts are cut from."""
CATEGORIES = ("SA", "PBL", "MSR")
PAUSE = 0.02
SEARCHES = {"a common word": "{0}", "a rare word": "{4000}", "two words": "{40} {400}", "a phrase": '"{1} {2}"'}


def vocabulary(rng: random.Random) -> list[str]:
    """Made-up words, the most frequent first."""
    letters = "aeioubcdfghklmnprstvwz"
    return ["".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(WORDS)]


def corpus(rng: random.Random, words: list[str]) -> str:
    """Text of these words by Zipf's law, in sentences and paragraphs."""
    weights = [1 / (rank + 1) for rank in range(len(words))]
    drawn = rng.choices(words, weights, k=CORPUS // 7)
    ends = rng.choices([" ", ". ", ".\n\n"], [12, 2, 1], k=len(drawn))
    return "".join(word + end for word, end in zip(drawn, ends, strict=True))


def write_run(folder: Path, text: str, rng: random.Random) -> None:
    """A finished run of MMIE."""

    def part(least: int, most: int) -> str:
        start = rng.randrange(len(text) - most)
        return text[start : start + rng.randint(least, most)]

    verdicts, samples = [], []
    for number in range(N):
        category = CATEGORIES[number % 3]
        name = f"{category}-{number:07}"
        shares = [rng.random() ** 4 for _ in range(7)]
        probs = tuple(share / sum(shares) for share in shares)
        score = max(range(7), key=probs.__getitem__)
        feedback = f"### Feedback\n{part(300, 900)}\n### Score\n{score}"
        details = {"field": ("Art", "Health", "Physics")[number % 7 % 3]}
        verdicts.append(
            Verdict(
                name, "judge", score, None, category, feedback=feedback, score_probs=probs, details=details,
                key=f"{number:064x}",
            )
        )  # fmt: skip
        question = (Text(part(200, 700)), Missing("images/1.png"))
        samples.append(Sample(name, None, category, question, (Text(part(600, 1500)), Missing("out/7.png"))))
    folder.mkdir(parents=True)
    where = RunFolder(folder)
    where.write_verdicts(verdicts)
    write_samples(folder, samples)
    benchmark = find("mmie")
    source = Source(benchmark.repo, "local:0123456789ab", "v1")
    signature = Signature({"benchmark": "mmie", "edition": "v1", "profile": "strict", "judge": "made-up@1"})
    where.write_results(build_result(benchmark, verdicts, None, source, signature))


def until(browser: Browser, script: str) -> None:
    """Wait, asking so seldom that it costs nothing."""
    while not browser.run(script):
        time.sleep(PAUSE)


def timed(work: Callable[[], None]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def search(browser: Browser, text: str) -> float:
    """Seconds from the last letter to the rows, the page's own wait of 0.12 s for another letter included."""
    browser.run("delete document.documentElement.dataset.list; document.getElementById('q').focus()")
    browser.run(f"document.getElementById('q').value = {json.dumps(text)}")
    event = "document.getElementById('q').dispatchEvent(new Event('input', {bubbles: true}))"

    def answered() -> None:
        browser.run(event)
        until(browser, "return document.documentElement.dataset.list !== undefined")

    return timed(answered)


def measure(browser: Browser, folders: list[Path], words: list[str]) -> dict[str, float]:
    """One start of the command, seconds of each part."""
    browser.driver.get("about:blank")
    command = [sys.executable, "-m", "judge.cli", "view", *map(str, folders)]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = next(line.strip() for line in process.stdout if line.startswith("http://"))
        found = {"address printed": time.perf_counter() - start}
        browser.driver.get(address)
        until(browser, "return document.querySelectorAll('#list a').length === 50")
        found["list shown"] = time.perf_counter() - start
        found["first search"] = search(browser, words[50])
        for name, text in SEARCHES.items():
            found[f"search, {name}"] = search(browser, text.format(*words))
        browser.run("document.querySelector('#list a').click()")
        until(browser, "return document.documentElement.dataset.row !== undefined")

        def turn() -> None:
            browser.run("delete document.documentElement.dataset.row; document.getElementById('following').click()")
            until(browser, "return document.documentElement.dataset.row !== undefined")

        found["next answer"] = timed(turn)
        return found
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    args = parser.parse_args()
    rng = random.Random(0)
    words = vocabulary(rng)
    text = corpus(rng, words)
    with tempfile.TemporaryDirectory() as out:
        folders = [Path(out) / f"run-{number}" for number in range(args.runs)]
        for folder in folders:
            write_run(folder, text, rng)
        size = sum(file.stat().st_size for folder in folders for file in folder.iterdir())
        with in_browser() as browser:
            browser.resize(1400, 900)
            tries = [measure(browser, folders, words) for _ in range(args.times)]
    medians = {name: round(statistics.median(each[name] for each in tries), 3) for name in tries[0]}
    slowest = {name: round(max(each[name] for each in tries), 3) for name in tries[0]}
    print(f"{args.runs} runs of {N:,} answers, {size / 1e6:.0f} MB; median of {args.times}, and the slowest, seconds")
    for name, value in medians.items():
        print(f"  {name:24} {value:7.2f} {slowest[name]:7.2f}")
    if args.json:
        args.json.write_text(json.dumps({"runs": args.runs, "n": N, "medians": medians, "slowest": slowest}, indent=1))


if __name__ == "__main__":
    main()
