"""What `mmjudge view` answers: search, filters, sorting, one question in full, files of what is selected."""

import csv
import io
import json
import re

import pytest

pytest.importorskip("uvicorn", reason="the view extra is not installed")

from local_pages import ask, get
from PIL import Image
from viewing import MMIE, ids, judged, lines_of, listing, picture, ruled, viewed, write_run

from judge.core.request import Text
from judge.io.samples import Drawn, Missing


def sure(score):
    return tuple(1.0 if each == score else 0.0 for each in range(7))


def torn(one, other):
    return tuple(0.5 if each in (one, other) else 0.0 for each in range(7))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Scores: anole SA-1 6, SA-2 2, PBL-1 4, SA-3 0 (failed); llava PBL-1 4, SA-1 3, SA-2 5, MSR-1 1, PBL-9 2."""
    out = tmp_path_factory.mktemp("view")
    anole = [
        judged("SA-1", 6, answer="Die ÄPFEL sind rot", question="Open the lid", probs=sure(6)),
        judged("SA-2", 2, answer="a red\nkite", feedback="Too short.", probs=torn(2, 3), field="Health"),
        judged("PBL-1", 4, answer="pour the water", probs=(0.25, 0.25, 0.0, 0.0, 0.5, 0.0, 0.0)),
        judged("MSR-1", None, answer="42"),
        judged("SA-3", 0, answer="", failure="empty_answer"),
    ]
    llava = [
        judged("PBL-1", 4, answer="water, poured"),
        judged("SA-1", 3, answer="a kite", question="Open the lid"),
        judged("SA-2", 5, answer="KITES"),
        judged("MSR-1", 1, feedback="50% of it"),
        judged("PBL-9", 2),
    ]
    return [
        write_run(out / "anole", anole, model="anole-7b"),
        write_run(out / "llava", llava, model="llava-ov"),
        write_run(out / "rules", [ruled("a/01", 0, 1), ruled("a/01", 1, 0, kind="NEG", letter="A", answer="A")]),
    ]


@pytest.fixture(scope="module")
def server(folders):
    with viewed(*folders) as running:
        yield running


def test_benchmarks_and_runs(server):
    mmie, mmvu = get(server, "about")["benchmarks"]
    assert (mmie["name"], mmie["title"], mmie["rows"], mmie["judged"]) == ("mmie", "MMIE", 6, True)
    assert mmie["runs"] == [
        {"name": "anole-7b", "condition": "", "n": 5, "unscored": 1, "failed": 1},
        {"name": "llava-ov", "condition": "", "n": 5, "unscored": 0, "failed": 0},
    ]
    assert mmie["categories"] == ["SA", "PBL", "MSR"]
    assert list(mmie["reasons"]) == ["truncated", "empty_answer"]
    assert [(facet["name"], facet["values"]) for facet in mmie["facets"]] == [
        ("field", [["Art", "Art"], ["Health", "Health"]])
    ]
    # anole has SA-3, llava PBL-9: 4 of 6
    assert mmie["cautions"] == ["The runs do not have the same questions: 4 of 6 are in all of them."]
    assert (mmvu["judged"], mmvu["lowest"], mmvu["highest"], mmvu["entropy"]) == (False, 0, 1, False)
    assert [(facet["name"], facet["values"]) for facet in mmvu["facets"]] == [
        ("type", [["NEG", "leading"], ["POS", "plain"]]),
        ("letter", [["A", "A"], ["B", "B"]]),
    ]


def test_the_list_is_in_the_order_of_the_questions(server):
    found = listing(server)
    assert (found["total"], found["from"], found["notes"]) == (6, 0, [])
    assert found["rows"] == [
        ["SA-1", None, "SA", "Open the lid", [[6, None], [3, None]]],
        ["SA-2", None, "SA", "a question", [[2, None], [5, None]]],
        ["PBL-1", None, "PBL", "a question", [[4, None], [4, None]]],
        ["MSR-1", None, "MSR", "a question", [[None, "truncated"], [1, None]]],
        ["SA-3", None, "SA", "a question", [[0, "empty_answer"], None]],
        ["PBL-9", None, "PBL", "a question", [None, [2, None]]],
    ]
    # anole 6 2 4 0, llava 3 5 4 1 2
    assert found["means"] == [[4, 3.0], [5, 3.0]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "kite"}, ["SA-1", "SA-2"]),
        ({"q": "KITE", "of": "1"}, ["SA-2"]),
        ({"q": "äpfel"}, ["SA-1"]),
        ({"q": '"red kite"'}, ["SA-2"]),  # on two lines
        ({"q": '"kite red"'}, []),
        ({"q": "kite red"}, ["SA-2"]),
        ({"q": "lid water"}, []),
        ({"q": "water pour"}, ["PBL-1"]),
        ({"q": "lid", "in": "question"}, ["SA-1"]),
        ({"q": "lid", "in": "answer"}, []),
        ({"q": "short", "in": "feedback"}, ["SA-2"]),
        ({"q": "short", "in": "answer"}, []),
        ({"q": "reference msr-1"}, ["MSR-1"]),
        ({"q": "50%"}, ["MSR-1"]),
        ({"q": "   "}, ["SA-1", "SA-2", "PBL-1", "MSR-1", "SA-3", "PBL-9"]),
        ({"q": "\x00"}, []),
        ({"q": ".*"}, []),
    ],
)
def test_search(server, query, found):
    assert ids(server, **query) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"category": "PBL"}, ["PBL-1", "PBL-9"]),
        ({"category": "none"}, []),
        ({"d_field": "Health"}, ["SA-2"]),
        ({"d_field": "Health", "of": "2"}, []),
        ({"d_unknown": "x", "category": "MSR"}, ["MSR-1"]),
        ({"reason": "truncated"}, ["MSR-1"]),
        ({"reason": "any"}, ["MSR-1", "SA-3"]),
        ({"reason": "any", "of": "2"}, []),
        ({"reason": "none"}, ["SA-1", "SA-2", "PBL-1", "PBL-9"]),
        ({"score": "2"}, ["SA-2", "PBL-9"]),
        ({"score": "2", "of": "1"}, ["SA-2"]),
        ({"score": "0"}, ["SA-3"]),
        ({"better": "1>2"}, ["SA-1"]),
        ({"better": "1<2"}, ["SA-2"]),
        ({"better": "2>1"}, ["SA-2"]),
        ({"better": "1!2"}, ["SA-1", "SA-2"]),
        ({"better": "1=2"}, ["PBL-1"]),
        ({"better": "1>2", "category": "PBL"}, []),
        ({"sort": "low"}, ["SA-3", "MSR-1", "PBL-9", "SA-2", "PBL-1", "SA-1"]),  # 0, 1, 2, 3.5, 4, 4.5
        ({"sort": "high", "of": "1"}, ["SA-1", "PBL-1", "SA-2", "SA-3", "MSR-1", "PBL-9"]),
        ({"sort": "gain"}, ["SA-1", "PBL-1", "SA-2", "MSR-1", "SA-3", "PBL-9"]),  # +3, 0, -3
        ({"sort": "loss"}, ["SA-2", "PBL-1", "SA-1", "MSR-1", "SA-3", "PBL-9"]),
        ({"sort": "gain", "pair": "2=1"}, ["SA-2", "PBL-1", "SA-1", "MSR-1", "SA-3", "PBL-9"]),
        ({"sort": "unsure"}, ["PBL-1", "SA-2", "SA-1", "MSR-1", "SA-3", "PBL-9"]),  # 1.5 bits, 1 bit, 0
        ({"sort": "sure"}, ["SA-1", "SA-2", "PBL-1", "MSR-1", "SA-3", "PBL-9"]),
    ],
)
def test_filters_and_sorting(server, query, found):
    assert ids(server, **query) == found


def test_right_and_wrong_by_rule(server):
    assert [row[:2] for row in listing(server, "mmvu", score="0")["rows"]] == [["a/01", 1]]
    assert [row[:2] for row in listing(server, "mmvu", d_type="POS")["rows"]] == [["a/01", 0]]
    found = get(server, "row/mmvu?id=a/01&index=1")
    (answer,) = found["runs"]
    assert (answer["score"], answer["by"], answer["feedback"]) == (0, "rule", None)
    # the benchmark's own words first, the rule by which the answer was read among the others
    assert answer["details"][:2] == [["question", "leading"], ["read as", "A"]]
    assert ["rule", "letter alone"] in answer["details"]


@pytest.mark.parametrize(
    "query",
    [
        "sort=best", "in=everything", "score=high", "score=1e9", "of=3", "of=0", "of=x", "better=1", "better=1>3",
        "better=0>1", "pair=1>", "from=x", "from=1e3", "from=-5",
    ],
)  # fmt: skip
def test_what_is_no_query_is_refused(server, query):
    status, _, body = ask(server, "GET", f"list/mmie?{query}")
    assert status == 400
    assert json.loads(body)["problem"]


def test_a_question_in_full_and_those_beside_it(server):
    found = get(server, "row/mmie?id=SA-2&category=SA")
    assert (found["position"], found["total"], found["previous"], found["following"]) == (
        1, 3, ["SA-1", None], ["SA-3", None]
    )  # fmt: skip
    assert (found["question"], found["truth"]) == ([{"text": "a question"}], "reference of SA-2")
    first, second = found["runs"]
    assert first["answer"] == [{"text": "a red\nkite"}]
    assert (first["feedback"], first["entropy"], first["expected"]) == ("Too short.", 1.0, 2.5)  # (2 + 3) / 2
    assert first["details"] == [["field", "Health"]]
    assert second["probs"] is None
    apart = get(server, "row/mmie?id=SA-2&category=PBL")
    assert (apart["position"], apart["previous"], apart["following"]) == (None, None, None)
    failed, absent = get(server, "row/mmie?id=SA-3")["runs"]
    assert (failed["score"], failed["reason"], failed["failed"]) == (0, "empty_answer", True)
    assert failed["meaning"] == "the answer holds neither text nor picture"
    assert absent is None


@pytest.mark.parametrize(
    "path",
    [
        "row/mmie?id=SA-99", "row/mmie", "row/mmie?id=SA-1&index=0", "list/none", "list/../about", "export/mmie.exe",
        "export/mmie", "export/none.csv", "picture/../../verdicts.jsonl", "picture/%2e%2e%2fverdicts.jsonl",
        "samples.jsonl", "results.json", "page.html", "server.py", "/", "/about", "row/mmie/SA-1",
    ],
)  # fmt: skip
def test_what_is_not_there(server, path):
    status, _, body = ask(server, "GET", path)
    assert status == 404
    assert json.loads(body).keys() == {"problem"}


def test_nobody_else_is_served(server):
    for host in ("evil.example", f"127.0.0.1.evil.example:{server.port}", ""):
        for path in ("", "about", "list/mmie", "row/mmie?id=SA-1", "export/mmie.jsonl"):
            assert ask(server, "GET", path, Host=host)[0] == 403
    assert ask(server, "POST", "about", {}, **{"X-Mmjudge-Token": server.token})[0] == 404
    status, headers, _ = ask(server, "GET", "export/mmie.csv")
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_the_selection_as_json_lines(server, folders):
    status, headers, body = ask(server, "GET", "export/mmie.jsonl?better=1!2&sort=loss")
    assert (status, headers["Content-Disposition"]) == (200, 'attachment; filename="mmie-2.jsonl"')
    second, first = lines_of(body)
    assert (second["id"], first["id"]) == ("SA-2", "SA-1")
    assert first == {
        "id": "SA-1", "index": None, "category": "SA", "question": [{"text": "Open the lid"}],
        "truth": "reference of SA-1",
        "runs": {
            "anole-7b": {
                "score": 6, "reason": None, "entropy": 0.0, "answer": [{"text": "Die ÄPFEL sind rot"}],
                "feedback": "good", "details": {"field": "Art"},
            },
            "llava-ov": {
                "score": 3, "reason": None, "entropy": None, "answer": [{"text": "a kite"}], "feedback": "good",
                "details": {"field": "Art"},
            },
        },
    }  # fmt: skip
    everything = lines_of(ask(server, "GET", "export/mmie.jsonl")[2])
    assert [row["id"] for row in everything] == ids(server)


def test_the_selection_as_csv(server):
    body = ask(server, "GET", "export/mmie.csv?q=kite")[2].decode("utf-8-sig")
    header, first, second = csv.reader(io.StringIO(body))
    assert header[:6] == ["id", "index", "category", "question", "truth", "anole-7b: score"]
    row = dict(zip(header, second, strict=True))
    assert row["anole-7b: answer"] == "a red\nkite"
    assert (row["anole-7b: entropy"], row["anole-7b: field"], row["llava-ov: score"]) == ("1.0", "Health", "5")
    assert first[0] == "SA-1"


def test_text_that_a_spreadsheet_would_run(tmp_path):
    formulas = ["=1+1", "+1", "-1", "@x", "\t=1", "=cmd|' /C calc'!A0"]
    rows = [judged(f"SA-{k}", 1, answer=text, feedback=text) for k, text in enumerate([*formulas, "a=1", "\ud83d \0"])]
    with viewed(write_run(tmp_path / "run", rows)) as server:
        body = ask(server, "GET", "export/mmie.csv")[2].decode("utf-8-sig")
        header, *lines = csv.reader(io.StringIO(body))
        answers = [line[header.index("run: answer")] for line in lines]
        assert answers == [*(f"'{text}" for text in formulas), "a=1", "\ufffd \ufffd"]
        kept = [row["runs"]["run"]["answer"] for row in lines_of(ask(server, "GET", "export/mmie.jsonl")[2])]
        assert kept == [[{"text": text}] for text in [*formulas, "a=1", "\ud83d \0"]]  # exactly


def test_pages_of_the_list(tmp_path):
    rows = [judged(f"SA-{k:03}", k % 7) for k in range(120)]
    with viewed(write_run(tmp_path / "run", rows)) as server:
        assert ids(server) == [f"SA-{k:03}" for k in range(50)]
        assert ids(server, **{"from": 100}) == [f"SA-{k:03}" for k in range(100, 120)]
        assert ids(server, **{"from": 500}) == []
        found = get(server, "row/mmie?id=SA-070")
        assert (found["position"], found["previous"][0], found["following"][0]) == (70, "SA-069", "SA-071")


def test_pictures_are_served_by_number(tmp_path):
    source = tmp_path / "source"
    data = io.BytesIO()
    Image.new("RGB", (2000, 1000), "teal").save(data, "PNG")
    good = picture(source, "secret-good.png", data.getvalue())
    broken = picture(source, "secret-broken.png", b"<svg onload='alert(1)'>")
    pieces = [Text("see"), good, Drawn("a cup", 7), broken, Missing("../../etc/passwd")]
    folder = write_run(tmp_path / "run", [judged("SA-1", 3, answer=pieces, question=[good])])
    with viewed(folder) as server:
        (answer,) = get(server, "row/mmie?id=SA-1")["runs"]
        shown = answer["answer"]
        assert (shown[0], shown[2], shown[4]) == (
            {"text": "see"}, {"drawn": "drawn from: a cup · seed 7"}, {"missing": "../../etc/passwd"}
        )  # fmt: skip
        assert re.fullmatch("picture/[0-9a-f]{32}", shown[1]["image"])
        status, headers, body = ask(server, "GET", shown[1]["image"])
        assert (status, headers["Content-Type"]) == (200, "image/png")
        assert Image.open(io.BytesIO(body)).size == (1600, 800)
        assert ask(server, "GET", shown[3]["image"])[0] == 415
        assert ask(server, "GET", "picture/" + "0" * 32)[0] == 404
        for path in (folder / "images").iterdir():
            path.unlink()
        assert ask(server, "GET", shown[3]["image"])[0] == 415


def test_a_picture_that_leads_out_of_the_folder_is_missing(tmp_path):
    folder = write_run(tmp_path / "run", [judged("SA-1", 3), judged("SA-2", 3)])
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "images").mkdir()
    (folder / "images" / "0123456789abcdef.png").symlink_to(tmp_path / "secret.png")
    lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    lines[0]["answer"] = [{"image": "../secret.png"}, {"image": "/etc/passwd"}]
    lines[1]["answer"] = [{"image": "images/0123456789abcdef.png"}]
    (folder / "samples.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with viewed(folder) as server:
        assert get(server, "row/mmie?id=SA-1")["runs"][0]["answer"] == [
            {"missing": "../secret.png"}, {"missing": "/etc/passwd"}
        ]  # fmt: skip
        assert get(server, "row/mmie?id=SA-2")["runs"][0]["answer"] == [{"missing": "images/0123456789abcdef.png"}]


def test_huge_texts_are_whole(tmp_path):
    huge = "long " * 400_000 + "end"
    with viewed(write_run(tmp_path / "run", [judged("SA-1", 3, answer=huge, feedback=huge)])) as server:
        (answer,) = get(server, "row/mmie?id=SA-1")["runs"]
        assert answer["answer"] == [{"text": huge}]
        assert answer["feedback"] == huge
        assert ids(server, q='"long end"') == ["SA-1"]


def test_runs_of_other_questions_partial_and_by_another_judge(tmp_path):
    first = write_run(tmp_path / "a", [judged("SA-1", 3), judged("SA-2", 3)])
    part = {**MMIE, "part": "1 of 2"}
    second = write_run(tmp_path / "b", [judged("SA-7", 3)], part, model="other")
    third = write_run(
        tmp_path / "c", [judged("SA-1", 3), judged("SA-2", 4)], {**MMIE, "judge": "big@2", "feedback": "f"}
    )
    with viewed(first, second, third) as server:
        (about,) = get(server, "about")["benchmarks"]
        assert about["cautions"] == [
            "other is partial: 1 of 2 questions were asked.",
            "c replays recorded feedback; nothing says which judge wrote it.",
            "c was measured otherwise than a: judge tiny@1 there, big@2 here.",
            "The runs do not have the same questions: 0 of 3 are in all of them.",
        ]
        assert ids(server) == ["SA-1", "SA-2", "SA-7"]
        assert ids(server, better="1<3") == ["SA-2"]


def test_conditions_name_the_runs_of_one_model(tmp_path):
    plain = write_run(tmp_path / "a", [ruled("a/01", 0, 1)], model="m")
    parts = {"benchmark": "mmvu", "edition": "v1", "extraction": "careful-3", "condition": "no_picture@12345678"}
    other = write_run(tmp_path / "b", [ruled("a/01", 0, 0, question="Without it?")], parts, model="m")
    with viewed(plain, other) as server:
        (about,) = get(server, "about")["benchmarks"]
        assert [(run["name"], run["condition"]) for run in about["runs"]] == [
            ("m, plain", ""), ("m, no_picture", "no_picture@12345678")
        ]  # fmt: skip
        first, second = get(server, "row/mmvu?id=a/01&index=0")["runs"]
        assert (first["question"], second["question"]) == (None, [{"text": "Without it?"}])
