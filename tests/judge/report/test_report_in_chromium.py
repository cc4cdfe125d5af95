"""The report in a real browser: it opens in silence, asks nobody for anything, and what it shows stays text."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the extra 'report' is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")

from chromium import NEEDED, Browser, in_browser
from selenium.webdriver.common.by import By
from synthetic import mmie, mmvu

from judge.report import build

pytestmark = NEEDED


class Page(Browser):
    def open(self, file, width=1280):
        self.resize(width, 900)
        self.driver.get(Path(file).absolute().as_uri())
        self.errors()
        self.driver.get_log("performance")
        self.driver.refresh()

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return [element.text for element in self.all(selector)]

    def click(self, selector):
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def choose(self, **fields):
        """Fill in filters and wait for the list to follow."""
        for name, value in fields.items():
            self.run(
                f"const field = document.querySelector('.filters').elements[{json.dumps(name)}];"
                f"field.value = {json.dumps(value)}; field.dispatchEvent(new Event('input', {{bubbles: true}}));"
                "field.dispatchEvent(new Event('change', {bubbles: true}));"
            )

    def option(self, name, label):
        """The value of an option by what it reads."""
        return self.run(
            f"return [...document.querySelector('.filters').elements[{json.dumps(name)}].options]"
            f".find((option) => option.textContent === {json.dumps(label)}).value"
        )

    def count(self):
        return self.texts(".count")[0]


@pytest.fixture(scope="module")
def page():
    with in_browser(Page) as browser:
        yield browser


def report(out, *folders):
    out.parent.mkdir(parents=True, exist_ok=True)
    text = build.build_report([str(folder) for folder in folders], out)
    out.write_text(text, encoding="utf-8", errors="replace")
    return out


@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_in_silence_and_asks_for_nothing(page, tmp_path, width):
    folders = [mmvu(tmp_path / "a"), mmvu(tmp_path / "b", seed=1), mmie(tmp_path / "c")]
    file = report(tmp_path / "report.html", *folders)
    page.open(file, width)
    page.run("for (const details of document.querySelectorAll('.cards details')) details.open = true;")
    assert page.errors() == []
    assert {url for url in page.requests() if not url.startswith("data:")} == {file.as_uri()}
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert len(page.all("svg")) >= 8  # plane, contrast, 2 by category, 2 rankings; 1 by category, 3 histograms: 10
    assert page.texts(".lead")[0].startswith("On MMVU, ")
    # MMIE's six pictures lie in its first six questions; those singled out travel in the file
    assert page.run("return [...document.querySelectorAll('.card img')].every((image) => image.naturalWidth > 0)")


def test_light_and_dark(page, tmp_path):
    page.open(report(tmp_path / "report.html", mmie(tmp_path / "run")))
    background = "return getComputedStyle(document.body).backgroundColor"
    first = page.run(background)
    page.click("#theme")
    second = page.run(background)
    page.click("#theme")
    assert second != first
    assert page.run(background) == first
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    page.driver.refresh()
    dark = page.run(background)
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert dark in (first, second)
    assert dark == "rgb(15, 20, 27)"  # --page of the dark theme, #0f141b


def test_search_and_filters(page, tmp_path):
    page.open(report(tmp_path / "report.html", mmie(tmp_path / "a", 60), mmie(tmp_path / "b", 60, seed=1)))
    assert page.count() == "60 of 60 questions"
    assert len(page.all(".list li")) == 25
    # ids are SA-00000, PBL-00001, MSR-00002, SA-00003, …: twenty of each
    page.choose(category=page.option("category", "PBL"))
    assert page.count() == "20 of 60 questions"
    assert set(page.texts(".list .kind")) == {"PBL"}
    page.choose(category="", outcome="unscored: truncated")  # 13, 33 and 53 in both runs
    assert page.count() == "3 of 60 questions"
    page.choose(outcome="", text="ANSWER 42:")
    assert page.count() == "1 of 60 questions"
    assert page.texts(".list .id") == ["SA-00042"]
    page.choose(text="no such words")
    assert page.count() == "0 of 60 questions"
    assert page.all(".list li") == []
    page.choose(text="")
    page.choose(outcome="differ")
    differing = int(page.count().split()[0])
    page.choose(outcome="")
    for name in ("a", "b"):
        scores = [json.loads(line)["score"] for line in (tmp_path / name / "verdicts.jsonl").read_text().splitlines()]
        page.choose(outcome="3 of 6", run=page.option("run", f"in {name}"))
        assert page.count() == f"{scores.count(3)} of 60 questions"
    rows = [
        [json.loads(line)["score"] for line in (tmp_path / name / "verdicts.jsonl").read_text().splitlines()]
        for name in "ab"
    ]
    assert differing == sum(one != other for one, other in zip(*rows, strict=True)) > 0
    page.choose(outcome="", run="")
    page.click(".list summary")
    opened = page.texts(".list .open")[0]
    assert all(words in opened for words in ("question 0:", "answer 0:", "reference 0", "field: Art"))
    assert page.errors() == []


def test_pictures_that_did_not_travel_are_shown_where_they_lie(page, tmp_path):
    folder = mmie(tmp_path / "run", 60)
    report(tmp_path / "report.html", folder)
    alone = tmp_path / "mail" / "report.html"
    alone.parent.mkdir()
    shutil.copy(tmp_path / "report.html", alone)
    for file, there in ((tmp_path / "report.html", True), (alone, False)):
        page.open(file)
        shown = {}
        for number in range(6):
            page.choose(text=f"question {number}:")
            page.click(".list summary")
            page.wait(
                "const asked = document.querySelector('.list .open > div');"
                "const images = [...asked.querySelectorAll('img')];"
                "return asked.querySelector('.missing') || images.some((image) => image.complete);"
            )
            shown[number] = page.run("return document.querySelector('.list .open img')?.naturalWidth || 0")
        if there:
            assert set(shown.values()) == {64}
        else:
            assert 0 in shown.values()
            assert "is not here" in page.texts(".list .open")[0] or shown[5]


PAYLOADS = (
    "<img src='CANARY/a' onerror='window.pwned = 1'>",
    "</script><script>window.pwned = 2</script>",
    "<!--<script>window.pwned = 3",
    "<svg/onload=window.pwned=4>",
    "{{ 7 * 7 }}{% raw %}<iframe src=\"javascript:parent.pwned=5\"></iframe>",
    "\"><link rel=stylesheet href='CANARY/b'><style>body{display:none}</style>",
    "\u2028window.pwned = 6\u2029 \ud83d half \x00\x1b[31m \u202e reversed",
    "<meta http-equiv=refresh content='0;url=CANARY/c'><base href='CANARY/'>",
)  # fmt: skip


def test_what_models_say_stays_text(page, tmp_path, canary):
    address, asked = canary

    def hostile(k):
        return PAYLOADS[k % len(PAYLOADS)].replace("CANARY", address)

    folder = mmie(tmp_path / "run", 30, hostile=hostile, pictures=False)
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    verdicts = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    for k, (row, verdict) in enumerate(zip(rows, verdicts, strict=True)):
        row["id"] = verdict["id"] = f"{row['id']}{hostile(k)}"
        row["truth"], row["answer"] = hostile(k), [*row["answer"], {"image": f"../../{hostile(k)}"}]
        verdict["details"] = {"field": hostile(k)}
    for name, content in (("samples.jsonl", rows), ("verdicts.jsonl", verdicts)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in content))
    results = json.loads((folder / "results.json").read_text())
    results["notes"] = [hostile(k) for k in range(len(PAYLOADS))]
    results["signature"] += f"|{hostile(0)}:{hostile(1)}"
    (folder / "results.json").write_text(json.dumps(results))

    name = "<script>window.pwned++<!-- $x_{$ <img onerror onload>"  # in charts, too
    file = report(tmp_path / "report.html", f"{name}={folder}")
    page.open(file)
    page.run("for (const details of document.querySelectorAll('details')) details.open = true;")
    page.choose(text="script")
    page.run("for (const details of document.querySelectorAll('details')) details.open = true;")
    assert page.run("return window.pwned === undefined")
    assert page.driver.current_url == file.as_uri()
    assert asked == []
    assert {url for url in page.requests() if not url.startswith("data:")} == {file.as_uri()}
    assert page.errors() == []
    assert page.run("return document.querySelectorAll('iframe, link, base, object, embed').length") == 0
    assert page.run("return document.querySelectorAll('script').length") == 2  # the data, and our own
    answers = "\n".join(page.texts(".list .answer"))
    assert "</script><script>window.pwned = 2</script>" in answers
    assert "<!--<script>window.pwned = 3" in answers


def test_a_page_that_does_not_escape_would_be_caught(page, tmp_path, canary):
    """The checks of the test above can fail."""
    address, asked = canary
    file = tmp_path / "naive.html"
    file.write_text("<!doctype html><body>" + "".join(PAYLOADS[:2]).replace("CANARY", address))
    page.open(file)
    page.wait("return window.pwned === 1")
    assert "/a" in asked
    assert page.errors() != []
    assert f"{address}/a" in page.requests()


def test_twenty_thousand_questions(page, tmp_path):
    """A whole MMIE run with texts of 700 characters: 20,103 · (question, answer, feedback) is 42 MB of text."""
    folder = mmie(tmp_path / "run", 20_103, length=700)
    file = report(tmp_path / "report.html", folder)
    assert 10_000_000 < file.stat().st_size < 30_000_000
    page.open(file)
    assert page.count() == "20,103 of 20,103 questions"
    assert len(page.all(".list li")) == 25
    assert page.texts(".pages span") == ["page 1 of 805"]  # 20,103 / 25 = 804.12
    for _ in range(2):
        page.click('.pages [data-step="1"]')
    assert page.texts(".pages span") == ["page 3 of 805"]
    assert page.texts(".list .id")[0] == "MSR-00050"  # 50 = 3 · 16 + 2
    page.choose(text="question 20102:")
    assert page.texts(".list .id") == ["MSR-20102"]  # 20,102 = 3 · 6,700 + 2
    page.click(".list summary")
    assert "characters" in page.texts(".list .open")[0]
    assert page.errors() == []
