"""The page in a real browser: keys, progress, undo, another day; and answers that are after more than a score."""

import json
import shutil
import threading

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("uvicorn", reason="the view extra is not installed")

from accessible import in_the_dark, problems
from annotating import MODELS, references, served, session
from chromium import NEEDED, Browser, in_browser
from hostile_pages import PAYLOADS, hostile_pictures
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from judge.annotate.items import collect_items, order_items
from judge.annotate.session import Session
from judge.annotate.store import Store
from judge.io import human_scores
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir

pytestmark = NEEDED
NAMES = {category: BENCHMARK.rubric("mmjudge").criteria(category) for category in BENCHMARK.categories}


class Page(Browser):
    def open(self, address, width=1280, height=900):
        self.fresh(address, width, height)
        self.settled()

    def settled(self):
        self.wait("return document.documentElement.dataset.item !== undefined")

    def position(self):
        """The item that is shown, counted from 0."""
        return int(self.run("return document.documentElement.dataset.item"))

    def press(self, key, position):
        """A key that leads to another answer."""
        self.keys(key)
        self.wait(f"return document.documentElement.dataset.item === '{position}'")

    def score(self):
        return self.run("return document.querySelector('#scores :checked')?.value ?? null")

    def marks(self):
        return self.run(
            "return [...document.querySelectorAll('#criteria .points')].map((e) => e.textContent).join(' ')"
        )


@pytest.fixture(scope="module")
def page():
    with in_browser(Page) as browser:
        yield browser


@pytest.fixture
def working(files, tmp_path):
    return session(files, tmp_path / "scores.jsonl")


@pytest.mark.parametrize("width", [1440, 900, 390])
def test_it_opens_in_silence_and_asks_only_its_server(page, working, width):
    with served(working) as server:
        page.open(server.address, width)
        page.wait("return [...document.images].length > 0 && [...document.images].every((image) => image.complete)")
        assert page.run("return [...document.images].every((image) => image.naturalWidth > 0)")
        assert page.errors() == []
        assert all(url.startswith(server.address) for url in page.requests() if not url.startswith("about:"))
        assert page.run("return document.documentElement.scrollWidth") <= width
        source = page.run("return document.documentElement.outerHTML").lower()
        assert not [name for name in (*MODELS, "secret", "responses.jsonl") if name in source]
        controls = page.driver.find_elements(By.CSS_SELECTOR, "input, button, textarea, progress")
        assert len([control for control in controls if control.is_displayed()]) > 15
        for dark in (False, True):
            in_the_dark(page, dark)
            assert problems(page) == []
        in_the_dark(page, False)
        page.run("document.getElementById('help-button').click()")
        assert problems(page) == []


def test_scores_are_given_by_keys(page, working):
    first, second = (working.items[position] for position in (0, 1))
    names = NAMES[first.request.category]
    with served(working) as server:
        page.open(server.address)
        assert page.text("count") == "0 of 30 scored"
        assert page.text("sum") == "not marked"
        page.keys("a", "b", "c")
        assert (page.text("sum"), page.score()) == ("sum 3", "3")
        page.keys("b", "f")
        assert (page.text("sum"), page.score()) == ("sum 3", "3")
        page.keys("5")
        assert (page.score(), page.text("apart")) == ("5", "the marks say 3")
        page.keys("d")
        assert (page.score(), page.text("sum")) == ("5", "sum 4")  # a score of one's own stays
        page.keys("n")
        page.keys("4 of 6? no: u? j?", Keys.ESCAPE)
        assert page.score() == "5"
        page.press(Keys.ENTER, 1)
        assert page.text("count") == "1 of 30 scored"
        assert (page.score(), page.marks()) == (None, " ".join("–" * len(NAMES[second.request.category])))
        page.keys("2")
        page.press(Keys.ENTER, 2)
        assert page.text("count") == "2 of 30 scored"
        assert page.errors() == []
    one, other = human_scores.read_human_scores(working.store.path)
    assert one.who == (*first.key, "a1")
    assert (one.score, one.feedback) == (5, "4 of 6? no: u? j?")
    assert one.criteria == dict.fromkeys(names, 0) | {names[number]: 1 for number in (0, 2, 3, 5)}
    assert (other.who, other.score, other.criteria, other.feedback) == ((*second.key, "a1"), 2, {}, None)


def test_the_seventh_criterion_takes_one_off(page, working):
    position = next(n for n, item in enumerate(working.items) if item.request.category == "SA")
    with served(working) as server:
        page.open(server.address)
        while page.position() < position:
            page.press("j", page.position() + 1)
        page.keys("g")
        assert (page.score(), page.text("sum")) == ("0", "sum 0")  # -1, but the scale begins at 0
        page.keys("a", "b", "c", "d", "e", "f")
        assert (page.score(), page.marks()) == ("5", "1 1 1 1 1 1 −1")
        page.keys("6")
        page.keys("=")
        assert page.score() == "5"
        page.keys("x")
        assert (page.score(), page.text("sum")) == (None, "not marked")
        page.keys("a", "g", Keys.ENTER)
        page.wait("return document.getElementById('count').textContent === '1 of 30 scored'")
    (score,) = human_scores.read_human_scores(working.store.path)
    assert score.criteria == dict.fromkeys(NAMES["SA"], 0) | {"Text quality": 1, "Emotional impact": -1}
    assert score.score == 0  # 1 - 1


def test_enter_without_a_score_saves_nothing(page, working):
    with served(working) as server:
        page.open(server.address)
        page.keys(Keys.ENTER)
        assert page.text("message") == "A score first: a digit from 0 to 6."
        page.keys("7", "8", "z")
        page.keys(Keys.ENTER)
        assert (page.position(), page.score()) == (0, None)
        page.keys("n")
        page.keys("a note")
        ActionChains(page.driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
        assert page.text("message") == "A score first: a digit from 0 to 6."
    assert working.store.path.read_bytes() == b""


def test_keys_that_come_before_the_next_answer_are_not_about_it(page, working, monkeypatch):
    there, item = threading.Event(), working.item
    with served(working) as server:
        page.open(server.address)
        monkeypatch.setattr(working, "item", lambda position: item(position) if there.wait(60) else None)
        page.keys("4", Keys.ENTER)
        page.wait("return document.getElementById('count').textContent === '1 of 30 scored'")
        page.keys("6", "a", Keys.ENTER, "j", "u")
        assert page.score() == "4"
        there.set()
        page.wait("return document.documentElement.dataset.item === '1'")
        assert (page.score(), page.text("sum"), page.text("message")) == (None, "not marked", "Saved.")
    assert [score.score for score in human_scores.read_human_scores(working.store.path)] == [4]


def test_undo_and_another_day(page, files, tmp_path):
    out = tmp_path / "scores.jsonl"
    with served(session(files, out)) as server:
        page.open(server.address)
        for position, digit in enumerate("345"):
            page.keys(digit)
            page.press(Keys.ENTER, position + 1)
        page.press("u", 2)
        assert (page.score(), page.text("count")) == ("5", "2 of 30 scored")  # as it was, to be mended
        page.keys("1")
        page.press(Keys.ENTER, 3)
        page.driver.refresh()
        page.settled()
        assert (page.position(), page.text("count")) == (3, "3 of 30 scored")
    assert [score.score for score in human_scores.read_human_scores(out)] == [3, 4, 1]
    with out.open("ab") as torn:
        torn.write(b'{"id": "PBL-9001", "model": "secr')
    with served(session(files, out)) as server:  # the machine went down, another day
        page.open(server.address)
        assert (page.position(), page.text("count")) == (3, "3 of 30 scored")
        page.press("k", 2)
        assert (page.score(), page.text("state")) == ("1", "✓ scored 1")
        page.press(Keys.ARROW_LEFT, 1)
        page.press(Keys.ARROW_RIGHT, 2)
        page.keys("6")
        page.press(Keys.ENTER, 3)  # given anew; on to the first without a score
        assert page.text("count") == "3 of 30 scored"
        page.driver.find_element(By.ID, "undo").click()
        page.wait("return document.documentElement.dataset.item === '2'")
        assert page.score() == "6"
    assert [score.score for score in human_scores.read_human_scores(out)] == [3, 4]


def test_to_the_end_with_the_mouse(page, files, tmp_path):
    working = session(files, tmp_path / "scores.jsonl")
    for position in range(28):
        working.score({"item": position, "score": 3, "criteria": None, "feedback": ""})
    with served(working) as server:
        page.open(server.address)
        assert page.position() == 28
        for position in (28, 29):
            page.driver.find_element(By.CSS_SELECTOR, "#scores input[value='4']").click()
            page.driver.find_element(By.ID, "save").click()
            page.wait(f"return document.getElementById('count').textContent === '{position + 1} of 30 scored'")
        page.wait("return document.getElementById('message').textContent.startsWith('All 30 answers are scored.')")
        page.driver.refresh()
        page.settled()
        page.wait("return document.getElementById('message').textContent === 'All answers are scored.'")
        assert page.errors() == []
    assert len(human_scores.read_human_scores(working.store.path)) == 30


def test_help_light_and_dark(page, working):
    background = "return getComputedStyle(document.body).backgroundColor"
    with served(working) as server:
        page.open(server.address)
        page.keys("?")
        assert page.run("return document.getElementById('help').open")
        page.keys("5", "j")
        page.keys(Keys.ESCAPE)
        assert not page.run("return document.getElementById('help').open")
        assert (page.position(), page.score()) == (0, None)
        light = page.run(background)
        page.run("document.getElementById('theme').click()")
        dark = page.run(background)
        in_the_dark(page, True)
        page.driver.refresh()
        page.settled()
        preferred = page.run(background)
        in_the_dark(page, False)
        assert preferred == dark == "rgb(15, 20, 27)" != light  # --page of the dark theme, #0f141b


def test_a_stopped_server_is_told_and_the_draft_stays(page, working):
    with served(working) as server:
        page.open(server.address)
        page.keys("a", "4")
        working.store.close()  # Ctrl-C: first nothing is written any more, then nobody answers
        page.keys(Keys.ENTER)
        page.wait("return document.getElementById('message').textContent.includes('(the server is being stopped)')")
        gone = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", gone)
        page.keys(Keys.ENTER)
        page.wait("return document.getElementById('message').textContent.startsWith('The server does not answer.')")
        here = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", here)
        assert (page.position(), page.score(), page.marks()[0]) == (0, "4", "1")
    assert working.store.path.read_bytes() == b""


def test_what_models_and_datasets_say_stays_text(page, tmp_path, canary):
    address, asked = canary
    data = tmp_path / "data"
    shutil.copytree(demo_dir(), data)
    payloads = [payload.replace("CANARY", address) for payload in PAYLOADS]
    records = json.loads((data / "data.json").read_text())
    for number, record in enumerate(records):
        hostile = payloads[number % len(payloads)]
        for turn in record["conversations"]:
            turn["content"][0]["text"] = hostile
    (data / "data.json").write_text(json.dumps(records))
    broken, wide = hostile_pictures(tmp_path / "answers" / "secret", address)
    rows = [
        {"id": id_, "response": [
            {"text": payloads[(number + 1) % len(payloads)], "image": f"secret/{broken[number % len(broken)]}"},
            {"text": "and", "image": f"secret/{wide}"},
        ]}
        for number, id_ in enumerate(references())
    ]  # fmt: skip
    (tmp_path / "answers" / "secret.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    items, left_out = collect_items(BENCHMARK, [("<script>", tmp_path / "answers" / "secret.jsonl")], data=data)
    assert (len(items), left_out) == (15, [])
    annotator = "<b onclick=alert(1)>"
    store = Store(tmp_path / "scores.jsonl")
    working = Session(order_items(items, annotator, 0), BENCHMARK.rubric("mmjudge"), store, annotator)
    with served(working) as server:
        page.open(server.address)
        assert page.text("annotator") == annotator
        shown = {}
        for position in range(15):
            page.run("document.querySelector('#answer').scrollIntoView({block: 'end'})")  # pictures are loaded lazily
            page.wait("return document.querySelectorAll('#answer .missing').length === 1")  # the broken one
            page.wait("return document.querySelector('#answer img').complete")
            # 3000 x 20, made smaller to fit 1600
            assert page.run("return document.querySelector('#answer img').naturalWidth") == 1600
            item = working.items[position]
            shown[item.request.id] = (page.text("question"), page.text("answer"), page.text("truth"))
            page.keys("4", Keys.ENTER)
            page.wait(f"return document.getElementById('count').textContent === '{position + 1} of 15 scored'")
            page.wait(f"return document.documentElement.dataset.item === '{min(position + 1, 14)}'")
        assert page.run("return window.pwned === undefined && {}.pwned === undefined")
        assert page.driver.current_url == server.address
        assert asked == []
        assert all(url.startswith(server.address) for url in page.requests() if not url.startswith("about:"))
        # what cannot be decoded is refused, and the browser notes it; it notes nothing else
        assert [error for error in page.errors() if "415 (Unsupported Media Type)" not in error] == []
        outside = "#question, #answer, #truth"
        assert page.run(f"return [...document.querySelectorAll('{outside}')].every((e) => !e.querySelector('script'))")
        assert page.run("return document.querySelectorAll('iframe, base, object, embed, style, svg, meta').length") == 3
        assert page.run("return document.scripts.length") == 1
        data, *_ = (working.album.png(name) for name, path in working.album._paths.items() if path.name == wide)
        assert b"secret" not in data
        assert data.startswith(b"\x89PNG")
    for number, id_ in enumerate(references()):
        asked, said = (payloads[(number + k) % len(payloads)].replace("\ud83d", "\ufffd")[:40_000] for k in (0, 1))
        question, answer, truth = shown[id_]
        assert asked in question
        assert said in answer
        assert truth == "" if "MSR" not in id_ else asked in truth
    assert len(human_scores.read_human_scores(store.path)) == 15


def test_a_page_elsewhere_gets_nothing(page, working, canary):
    """Another page in the same browser, with the whole address: it may neither read nor write."""
    address, _ = canary
    with served(working) as server:
        page.driver.get(f"{address}/")
        given = json.dumps({"item": 0, "score": 6, "criteria": None, "feedback": ""})
        script = """
            const done = arguments[arguments.length - 1];
            const tries = [
              fetch(ADDRESS + "progress"), fetch(ADDRESS + "score", {method: "POST", body: GIVEN}),
              fetch(ADDRESS + "score", {method: "POST", body: GIVEN, headers: {"X-Mmjudge-Token": "TOKEN"}}),
              fetch(ADDRESS + "score", {method: "POST", body: GIVEN, mode: "no-cors"}),
              new Promise((good, bad) => {
                const image = new Image(); image.onload = good; image.onerror = bad; image.src = ADDRESS + "page.svg";
              }),
            ];
            Promise.allSettled(tries).then((all) => done(all.map((one) => one.status)));
        """
        script = script.replace("ADDRESS", json.dumps(server.address)).replace("GIVEN", json.dumps(given))
        outcomes = page.driver.execute_async_script(script.replace("TOKEN", server.token))
        # what is asked for without wanting to know the answer (no-cors) may be sent; the server refuses it
        assert [*outcomes[:3], outcomes[4]] == ["rejected"] * 4
    assert working.store.path.read_bytes() == b""
