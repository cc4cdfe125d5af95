"""The report in a browser, for everybody: read aloud, by keyboard, in the dark, on a phone, on paper, with 12 runs."""

import base64
import collections
import itertools
import re

import pytest

pytest.importorskip("matplotlib", reason="the extra 'report' is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")

from accessible import in_the_dark, problems
from chromium import NEEDED, in_browser
from selenium.webdriver.common.keys import Keys
from synthetic import mmie, mmvu

from judge.report import build

pytestmark = NEEDED


@pytest.fixture(scope="module")
def browser():
    with in_browser() as made:
        yield made


def report(out, folders):
    out.write_text(build.build_report([str(folder) for folder in folders], out), encoding="utf-8", errors="replace")
    return out.as_uri()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two benchmarks: three runs and two, one of them partial and replayed."""
    root = tmp_path_factory.mktemp("mixed")
    parts = {"part": "60 of 80", "feedback": "1a"}
    folders = [mmvu(root / f"v{number}", seed=number, right=0.5 + number / 5) for number in range(3)]
    folders += [mmie(root / "plain", 60), mmie(root / "replayed", 60, seed=1, parts=parts)]
    return report(root / "report.html", folders)


@pytest.fixture(scope="module")
def twelve(tmp_path_factory):
    root = tmp_path_factory.mktemp("twelve")
    names = [f"a-model-of-quite-a-long-name-{number}" for number in range(12)]
    return report(root / "report.html", [mmvu(root / name, seed=n, right=0.4 + n / 20) for n, name in enumerate(names)])


def show(browser, address, width=1280, *, opened=True):
    browser.resize(width, 900)
    browser.driver.get(address)
    if opened:
        browser.run("for (const details of document.querySelectorAll('details')) details.open = true;")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["mixed", "twelve"])
def test_nothing_keeps_anybody_from_reading_it(browser, request, name, width, dark):
    """One h1, no heading skipped, labels, alternative texts, contrast of 4.5, parts that scroll reached by keyboard."""
    in_the_dark(browser, dark)
    show(browser, request.getfixturevalue(name), width)
    found = problems(browser)
    scrolled = browser.run("return document.documentElement.scrollWidth")
    in_the_dark(browser, False)
    assert found == []
    assert scrolled <= width


def test_what_a_chart_shows_is_said_in_numbers(browser, mixed):
    show(browser, mixed)
    said = browser.run("return [...document.querySelectorAll('.chart [role=img]')].map((each) => each.ariaLabel)")
    # MMVU: 4 panels, plane, contrast, RA and MR by category, 2 rankings; MMIE: score, by category, 3 of scores
    assert len(said) == 4 + 1 + 1 + 2 + 2 + 1 + 1 + 3
    assert len(set(said)) == len(said)
    assert [text for text in said if len(re.findall(r"\d+", text)) < 4] == []
    names = ({"v0", "v1", "v2"}, {"plain", "replayed"})
    assert [text for text in said if not any(all(name in text for name in of) for of in names)] == []
    (row,) = browser.run("""
        return [...document.querySelectorAll(".board tbody tr")].map((row) => row.innerText.trim())
            .filter((text) => text.startsWith("v2"))
    """)
    value = float(row.split()[1])
    assert said[0].startswith("robustness accuracy: ")
    assert f"v2 {value:.1f}% (" in said[0]


def test_pictures_are_named_by_what_they_belong_to(browser, mixed):
    show(browser, mixed)
    said = browser.run("return [...document.querySelectorAll('.card img, .list img')].map((each) => each.alt)")
    assert said
    assert [text for text in said if not re.fullmatch(r"picture 1 of question (SA|PBL|MSR)-\d{5}", text)] == []


# an h5 is the name of a run or of a panel
SENTENCES = """
    const own = "h1, h2, h3, h4, p, li, dt, dd, figcaption, summary, footer";
    return [...document.querySelectorAll(own)]
        .filter((each) => !each.closest(".card, .list, .browser, nav") && !each.querySelector(own))
        .map((each) => each.textContent.replace(/\\s+/g, " ").trim());
"""


@pytest.mark.parametrize("name", ["mixed", "twelve"])
def test_no_sentence_stands_twice(browser, request, name):
    show(browser, request.getfixturevalue(name))
    texts = browser.run(SENTENCES)
    said = [part for text in texts for part in re.split(r"(?<=[.!?])\s+", text) if len(part.split()) > 3]
    assert len(said) > 20
    assert [text for text, times in collections.Counter(said).items() if times > 1] == []


def test_numbers_come_before_prose(browser, mixed):
    show(browser, mixed)
    order = browser.run("""
        return [...document.querySelectorAll(".board, .lead, .cautions, .about")].map((each) => each.className)
    """)
    assert order == ["board", *["lead"], "board", "lead", "lead", "cautions", "about", "about"]
    assert browser.run("return document.querySelectorAll('.cautions').length") == 1


def test_twelve_runs_have_twelve_marks_everywhere(browser, twelve):
    show(browser, twelve)
    marks = """
        return [...document.querySelectorAll(arguments[0])].map((each) => [
            each.querySelector("use").getAttribute("href"), getComputedStyle(each).color])
    """
    board, legend, columns = (
        browser.driver.execute_script(marks, f"{where} .mark") for where in (".board", ".legend", ".columns")
    )
    assert len(board) == 12
    assert board == legend == columns
    for one, other in itertools.combinations(board, 2):
        assert one[0] != other[0]
        assert one[1] != other[1]
    assert browser.run("return document.querySelectorAll('.list li:first-child .chips .mark').length") == 12


def test_a_header_names_the_scores_below_it(browser, mixed):
    show(browser, mixed, opened=False)
    for number, names in enumerate((["v2", "v1", "v0"], ["plain", "replayed"])):
        of = f"document.querySelectorAll('.browser')[{number}]"
        heads = browser.run(f"return [...{of}.querySelectorAll('.columns .run')].map((each) => each.innerText.trim())")
        assert sorted(heads) == sorted(names)
        left = "map((each) => Math.round(each.getBoundingClientRect().left))"
        above = browser.run(f"return [...{of}.querySelectorAll('.columns .chips > span')].{left}")
        below = browser.run(f"return [...{of}.querySelectorAll('.list li:first-child .chip')].{left}")
        assert above == pytest.approx(below, abs=4)


def test_the_keyboard_reaches_everything(browser, mixed):
    show(browser, mixed, opened=False)
    seen = []
    for _ in range(400):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(
            browser.run(
                "return document.activeElement.name || document.activeElement.className "
                "|| document.activeElement.id || document.activeElement.tagName"
            )
        )
        if seen[-1] == "category":
            break
    assert seen[-1] == "category"
    assert {"theme", "scroll", "text"} <= set(seen)
    assert "DETAILS" not in seen
    for name in ("outcome", "run", "SUMMARY"):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        assert name == browser.run("return document.activeElement.name || document.activeElement.tagName")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.run("return document.querySelector('.list details').open")
    outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_on_paper_it_is_light_and_whole(browser, mixed):
    """Without the sample browser, from a dark screen too."""
    in_the_dark(browser, True)
    show(browser, mixed, opened=False)
    browser.run("document.documentElement.dataset.theme = 'dark'")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    colours = browser.run("""
        const of = (each) => [getComputedStyle(each).color, getComputedStyle(each).backgroundColor];
        return [...document.querySelectorAll("body, .card, .chart, td")].map(of)
    """)
    assert {ground for _, ground in colours} <= {"rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"}
    assert max(sum(map(int, re.findall(r"\d+", ink)[:3])) for ink, _ in colours) < 3 * 110
    shown = "(each) => each.checkVisibility() && each.getBoundingClientRect().height > 0"
    for gone in (".top", ".all", ".list"):
        assert not browser.run(f"return [...document.querySelectorAll('{gone}')].some({shown})"), gone
    assert browser.run(f"return [...document.querySelectorAll('.chart svg')].every({shown})")
    browser.resize(794, 1123)  # A4 at 96 dots an inch
    cut = browser.run("""
        return [...document.querySelectorAll(".chart svg")].filter((each) => {
            const box = each.getBoundingClientRect();
            return box.right > innerWidth + 1 || box.height > 1123;
        }).length
    """)
    assert cut == 0
    right = browser.run(
        "return [...document.querySelectorAll('table')].map((each) => each.getBoundingClientRect().right)"
    )
    assert max(right) <= 795
    whole = browser.run("""
        return [...document.querySelectorAll(".chart:not(.wide), .panel")]
            .map((each) => getComputedStyle(each).breakInside)
    """)
    assert set(whole) == {"avoid"}
    assert browser.run("return getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    paper = browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    pages = len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(paper)))
    # what was folded away is printed, too: the tables by category
    assert pages >= 5
    assert browser.run("return [...document.querySelectorAll('details.more')].every((each) => each.open)")
