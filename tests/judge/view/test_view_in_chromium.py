"""`mmjudge view` in a real browser: search, filters, keys, pictures, links; and answers that are after more."""

import io
import json

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("uvicorn", reason="the view extra is not installed")

from accessible import in_the_dark, problems
from chromium import NEEDED, Browser, in_browser
from hostile_pages import PAYLOADS, hostile_pictures
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from viewing import MMIE, judged, picture, ruled, viewed, write_run

from judge.core.request import Picture

pytestmark = NEEDED


class Page(Browser):
    def open(self, address, width=1400, height=900):
        self.fresh(address, width, height)
        self.wait("return document.documentElement.dataset.list !== undefined")

    def ids(self):
        return self.run("return [...document.querySelectorAll('#list .id')].map((each) => each.textContent)")

    def shows(self, *ids):
        self.wait(
            "return [...document.querySelectorAll('#list .id')].map((each) => each.textContent).join(' ') === "
            f"{json.dumps(' '.join(ids))}"
        )

    def reads(self, start):
        """Until the question is shown whose headline begins with `start`."""
        self.wait(f"return document.getElementById('position').textContent.startsWith({json.dumps(start)})")

    def choose(self, id_, text):
        Select(self.driver.find_element(By.ID, id_)).select_by_visible_text(text)

    def answers(self):
        """Texts of answers and feedback; half a surrogate pair cannot be sent, and is U+FFFD."""
        texts = "[...document.querySelectorAll('.sides .card .said')].map((each) => each.textContent.toWellFormed())"
        return self.run(f"return {texts}")


@pytest.fixture(scope="module")
def page():
    with in_browser(Page) as browser:
        yield browser


def drawn(colour, size=(900, 600)):
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Two judged runs of 120 questions, the first with the better score in every third; one run by rule."""
    out = tmp_path_factory.mktemp("viewed")
    pictures = [picture(out / "source", f"{colour}.png", drawn(colour)) for colour in ("teal", "gold")]
    runs = []
    for name, better in (("anole", 2), ("llava", 0)):
        rows = [
            judged(
                f"{('SA', 'PBL', 'MSR')[k % 3]}-{k:03}",
                None if k == 9 else 2 + (better if k % 3 == 0 else 1),
                answer=[*pictures, f"{name} says kite {k}"] if k == 0 else f"{name} says kite {k}",
                question=["How?", pictures[0]] if k == 0 else f"question {k}",
                feedback=f"feedback {k}\n### Score\n3",
                probs=tuple(1 / 7 for _ in range(7)) if k == 5 else None,
                field=("Art", "Health")[k % 2],
            )
            for k in range(120)
        ]
        runs.append(write_run(out / name, rows, model=name))
    rules = [ruled("a/01", 0, 1), ruled("a/01", 1, 0, kind="NEG", letter="A", answer="A")]
    runs.append(write_run(out / "rules", rules, model="ruled"))
    with viewed(*runs) as running:
        yield running


@pytest.mark.parametrize("width", [1400, 390])
def test_it_opens_in_silence_asks_only_its_server_and_is_for_everybody(page, server, width):
    page.open(f"{server.address}#id=SA-000", width)
    page.reads("SA-000")
    page.wait("return [...document.images].every((image) => image.complete && (image.naturalWidth || !image.src))")
    assert page.run("return document.documentElement.scrollWidth") <= width
    for dark in (False, True):
        in_the_dark(page, dark)
        assert problems(page) == []
    in_the_dark(page, False)
    page.keys("?")
    assert problems(page) == []
    page.keys(Keys.ESCAPE)
    page.run("document.querySelector('.picture').click()")
    assert problems(page) == []
    page.keys(Keys.ESCAPE)
    if width < 900:
        assert not page.driver.find_element(By.ID, "list").is_displayed()
        page.driver.find_element(By.ID, "back").click()
        assert not page.driver.find_element(By.ID, "sample").is_displayed()
        page.run("document.getElementById('filters').open = true")
    assert page.driver.find_element(By.ID, "list").is_displayed()
    assert problems(page) == []
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert page.errors() == []
    assert all(url.startswith(server.address) for url in page.requests() if not url.startswith("about:"))


def test_keys_and_pages(page, server):
    page.open(server.address)
    assert page.text("count") == "120 questions"
    assert page.text("page") == "1–50"
    assert len(page.ids()) == 50
    page.keys("j")
    page.reads("SA-000 · SA · 1 of 120")
    page.keys("j")
    page.reads("PBL-001 · PBL · 2 of 120")
    page.keys(Keys.ARROW_LEFT)
    page.reads("SA-000")
    page.keys("k")  # there is none before
    page.run("document.querySelector('#list li:last-child a').click()")
    page.reads("PBL-049")
    page.keys("j")  # onto the next page
    page.reads("MSR-050 · MSR · 51 of 120")
    page.wait("return document.getElementById('page').textContent === '51–100'")
    assert page.run("return document.querySelector('#list [aria-current]').dataset.id") == "MSR-050"
    page.driver.find_element(By.ID, "page-after").click()
    page.wait("return document.getElementById('page').textContent === '101–120'")
    assert len(page.ids()) == 20
    assert page.errors() == []


def test_search_marks_what_it_finds(page, server):
    page.open(server.address)
    page.keys("/")
    page.keys("kite 42")
    page.shows("SA-042")
    assert page.text("count") == "1 of 120 questions"
    page.keys(Keys.ENTER, Keys.ENTER)
    page.reads("SA-042 · SA · 1 of 1")
    assert page.answers()[0] == "anole says kite 42"
    marks = page.run("return [...document.querySelectorAll('.sides mark')].map((each) => each.textContent)")
    assert marks[:2] == ["kite", "42"]
    page.keys("/")
    page.keys("nowhere")
    page.wait("return document.getElementById('page').textContent === 'none'")
    assert page.ids() == []
    page.keys(Keys.ESCAPE)
    page.keys("?")
    assert page.run("return document.getElementById('help').open")
    page.keys(Keys.ESCAPE)


def test_filters_stand_in_the_address_and_survive(page, server):
    page.open(server.address)
    page.choose("relation", "is better than")
    page.choose("category", "SA")
    page.choose("sort", "score, lowest first")
    # every third is better in the first run, 4 to 2, but number 9, which has no score
    found = [f"SA-{k:03}" for k in range(0, 120, 3) if k != 9]
    page.shows(*found)
    assert page.text("active") == "(3 set)"
    page.choose("relation", "is worse than")
    page.shows()
    page.choose("relation", "is better than")
    page.shows(*found)
    means = page.run("return [...document.querySelectorAll('#runs td:last-child')].map((each) => each.textContent)")
    assert means == ["4.00 (n=39)", "2.00 (n=39)"]
    page.run("document.querySelectorAll('#list a')[3].click()")
    page.reads("SA-012 · SA · 4 of 39")
    address = page.driver.current_url
    assert {"better=1%3E2", "category=SA", "sort=low", "id=SA-012"} <= set(address.partition("#")[2].split("&"))
    page.open(address)  # another day, or somebody else
    page.reads("SA-012 · SA · 4 of 39")
    page.shows(*found)
    assert page.run("return document.getElementById('relation').selectedOptions[0].textContent") == "is better than"
    page.driver.find_element(By.ID, "reset").click()
    page.wait("return document.getElementById('count').textContent === '120 questions'")
    page.choose("reason", "truncated")
    page.shows("SA-009")
    page.driver.back()
    page.wait("return document.getElementById('count').textContent === '120 questions'")
    page.choose("sort", "entropy: judge unsure first")
    page.wait("return document.querySelector('#list .id').textContent === 'MSR-005'")


def test_runs_are_shown_or_not_and_benchmarks_changed(page, server):
    page.open(f"{server.address}#id=SA-000")
    page.reads("SA-000")
    titles = "return [...document.querySelectorAll('.sides h3')].map((each) => each.firstChild.textContent)"
    assert page.run(titles) == ["anole", "llava"]
    page.driver.find_elements(By.CSS_SELECTOR, "#runs input")[0].click()
    page.wait("return document.querySelectorAll('.sides h3').length === 1")
    assert page.run(titles) == ["llava"]
    page.choose("benchmark", "MMVU")
    page.shows("a/01 · 0", "a/01 · 1")
    assert page.run("return [...document.querySelectorAll('#list .chip')].map((each) => each.textContent)") == [
        "✓",
        "✗",
    ]
    page.choose("score", "wrong")
    page.shows("a/01 · 1")
    page.driver.find_element(By.CSS_SELECTOR, "#list a").click()
    page.reads("a/01 (index 1)")
    details = page.run("return document.querySelector('.meta').textContent")
    assert "decided bya rule" in details
    assert "ruleletter alone" in details


def test_pictures_enlarge(page, server):
    page.open(f"{server.address}#id=SA-000")
    page.reads("SA-000")
    alts = page.run("return [...document.querySelectorAll('.picture img')].map((each) => each.alt)")
    assert alts == [
        "picture 1 of the question",
        *(f"picture {k} of the answer of {name}" for name in ("anole", "llava") for k in (1, 2)),
    ]
    first = page.driver.find_element(By.CSS_SELECTOR, ".picture")
    first.send_keys(Keys.ENTER)
    title = "return document.getElementById('picture').open && document.getElementById('picture-title').textContent"
    assert page.run(title) == "picture 1 of the question"
    page.keys(Keys.ARROW_RIGHT)
    assert page.run(title) == "picture 1 of the answer of anole"
    page.wait("return document.getElementById('large').naturalWidth === 900")
    page.keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert page.run(title) == "picture 1 of the question"
    page.keys(Keys.ESCAPE)
    assert page.run("return !document.getElementById('picture').open")
    assert page.run("return document.activeElement === document.querySelector('.picture')")  # back where it was
    page.reads("SA-000")  # the arrows turned pictures, not questions


def test_cautions_stand_on_top(page, tmp_path):
    one = write_run(tmp_path / "one", [judged("SA-1", 3)])
    other = write_run(tmp_path / "other", [judged("SA-1", 4)], {**MMIE, "judge": "big@2"})
    with viewed(one, other) as server:
        page.open(server.address)
        lines = page.run("return [...document.querySelectorAll('#cautions li')].map((each) => each.textContent)")
        assert lines == ["other was measured otherwise than one: judge tiny@1 there, big@2 here."]
        (one / "verdicts.jsonl").touch()
        page.keys("/")
        page.keys("an")
        page.wait("return document.getElementById('cautions').textContent.includes('one has changed since')")


def test_a_link_to_what_is_not_there_and_a_server_that_is_gone(page, server):
    page.open(f"{server.address}#id=SA-999")
    page.wait("return document.getElementById('message').textContent.includes('no such question')")
    page.run("location.hash = '#sort=best'")
    page.wait("return document.getElementById('count').textContent.startsWith('Not done: must be one of low, high')")
    page.open(f"{server.address}#id=SA-000")
    page.reads("SA-000")
    gone = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", gone)
    page.keys("j")
    page.wait("return document.getElementById('message').textContent.startsWith('The server does not answer.')")
    here = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", here)


def test_what_models_and_datasets_say_stays_text(page, tmp_path, canary):
    address, asked = canary
    payloads = [payload.replace("CANARY", address) for payload in PAYLOADS]
    broken, wide = hostile_pictures(tmp_path / "pictures", address)
    rows = []
    for k, payload in enumerate(payloads):
        bad = broken[k % len(broken)]
        pieces = [payload, *(Picture(tmp_path / "pictures" / name, name) for name in (bad, wide))]
        rows.append(judged(f"SA-{k}<b onclick=alert(1)>", 3, answer=pieces, feedback=payload, question=payload))
    folder = write_run(tmp_path / "run", rows, model="<script>window.pwned = 1</script>")
    with viewed(folder) as server:
        page.open(server.address)
        for k, payload in enumerate(payloads):
            page.keys("j")
            page.reads(f"SA-{k}<b onclick=alert(1)>")
            page.run("document.querySelectorAll('.sides .picture')[1]?.scrollIntoView()")  # they are loaded lazily
            page.wait("return document.querySelectorAll('.sides .missing').length === 1")  # the broken picture
            page.wait("return [...document.querySelectorAll('.sides img')].every((image) => image.complete)")
            wanted = payload.replace("\ud83d", "\ufffd")
            assert page.answers() == [wanted, wanted]  # answer and feedback, whole
            assert page.run("return document.getElementById('shown').textContent.toWellFormed()").count(wanted) == 3
        assert page.run("return window.pwned === undefined && {}.pwned === undefined")
        assert page.run("return document.scripts.length") == 1
        assert page.run("return document.querySelectorAll('iframe, base, object, embed, style, svg, meta').length") == 3
        assert page.driver.current_url.startswith(server.address)
        assert asked == []
        assert all(url.startswith(server.address) for url in page.requests() if not url.startswith("about:"))
        assert [error for error in page.errors() if "415 (Unsupported Media Type)" not in error] == []


def test_another_page_gets_nothing(page, server, canary):
    address, _ = canary
    page.driver.get(f"{address}/")
    script = """
        const done = arguments[arguments.length - 1];
        const tries = PATHS.map((path) => fetch(ADDRESS + path));
        Promise.allSettled(tries).then((all) => done(all.map((one) => one.status)));
    """
    paths = ["about", "list/mmie", "row/mmie?id=SA-000", "export/mmie.jsonl"]
    script = script.replace("PATHS", json.dumps(paths)).replace("ADDRESS", json.dumps(server.address))
    assert page.driver.execute_async_script(script) == ["rejected"] * 4
