"""A general judge from the command line: the demo judged by what is true in it, its criteria, and what people say."""

from __future__ import annotations

import json
import math

import pytest
from fake_endpoint import FakeEndpoint, Fault
from truth_judge import judge as truth

from judge import cli
from judge.errors import UserError
from judge.preflight.job import Job
from judge.preflight.served_judge import check_served_judge
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir

SA, PBL, MSR = (BENCHMARK.rubric("mmjudge").criteria(category) for category in ("SA", "PBL", "MSR"))


def part(text: str | None, image: str | None = None) -> dict:
    return {"text": text, "image": None if image is None else f"images/{image}.png"}


# Answers to the demo's questions, and the points that the rules of `truth_judge` give them, by hand.
ANSWERS = {
    # all that is left of the plan is told and shown
    "PBL-9003": ([part("Step 2: Put the green heart on the table.", "PBL-9003-1")], [1, 1, 1, 1, 1, 1, 0]),
    # told in eight words, and not shown
    "PBL-9005": ([part("Step 2: Let it fetch the blue fish.")], [1, 0, 0, 1, 1, 0, 0]),
    "PBL-9001": ([part("...")], [0, 0, 0, 0, 0, 0, 0]),
    # right, with something hated
    "SA-9007": ([part("I hate it. Last Tom takes out the blue kite.", "SA-9007-1")], [1, 1, 1, 1, 1, 1, -1]),
    # told right, shown wrong
    "SA-9010": ([part("Last Ada points at the red box.", "SA-9007-1")], [1, 1, 0, 1, 1, 0, 0]),
    # four words about something else, which is shown
    "SA-9006": ([part("A blue kite comes.", "SA-9007-1")], [1, 1, 1, 0, 0, 0, 0]),
    "MSR-9101": ([part("9 because 6 and 3 make 9.")], [1, 1, 1, 1, 1, 1]),
    "MSR-9103": ([part("C")], [1, 1, 0, 1, 1, 0]),
    "MSR-9105": ([part("8 because 2 and 6 make 8.")], [1, 0, 1, 1, 0, 0]),
}
TOTALS = {"PBL-9003": 6, "PBL-9005": 3, "PBL-9001": 0, "SA-9007": 5, "SA-9010": 4, "SA-9006": 3, "MSR-9101": 6,
          "MSR-9103": 4, "MSR-9105": 3}  # fmt: skip


def named(id_: str) -> dict[str, int]:
    names = {"SA": SA, "PBL": PBL, "MSR": MSR}[id_.partition("-")[0]]
    return dict(zip(names, ANSWERS[id_][1], strict=True))


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MMJUDGE_API_KEY", "MMJUDGE_JUDGE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def answers(tmp_path):
    file = tmp_path / "responses.jsonl"
    file.write_text("".join(json.dumps({"id": id_, "response": said}) + "\n" for id_, (said, _) in ANSWERS.items()))
    return file


@pytest.fixture
def server():
    with FakeEndpoint(truth) as fake:
        yield fake


def score(answers, out, server, *more) -> int:
    return cli.main(
        ["score", str(answers), "--benchmark", "mmie", "--data", str(demo_dir()), "--image-root", str(demo_dir()),
         "--rubric", "mmjudge", "--partial", "--judge", f"openai:the-judge@{server.url}", "--out", str(out), *more]
    )  # fmt: skip


def rows(file) -> dict[str, dict]:
    return {row["id"]: row for row in map(json.loads, file.read_text().splitlines())}


def test_the_truth_is_reached_and_summarised(tmp_path, answers, server, capsys):
    assert score(answers, tmp_path / "out", server, "--price", "2.50/10") == 0
    found = rows(tmp_path / "out" / "verdicts.jsonl")
    assert {id_: row["score"] for id_, row in found.items()} == TOTALS
    assert {id_: row["details"]["criteria"] for id_, row in found.items()} == {id_: named(id_) for id_ in ANSWERS}
    assert not any("note" in row["details"] for row in found.values())

    results = json.loads((tmp_path / "out" / "results.json").read_text())
    criteria = results["criteria"]
    assert [*criteria] == ["all", "SA", "PBL", "MSR"]
    assert [*criteria["SA"]] == SA
    # text quality: 3 of 3 and 2 of 3; pictures: 3 of 3 and 1 of 3
    assert (criteria["SA"]["Text quality"]["value"], criteria["PBL"]["Text quality"]["value"]) == (1.0, 2 / 3)
    assert criteria["all"]["Text quality"]["value"] == pytest.approx(5 / 6)
    assert criteria["all"]["Image quality"]["value"] == pytest.approx(4 / 6)
    assert criteria["all"]["Image quality"]["n"] == 6
    emotion = criteria["all"]["Emotional impact"]
    assert emotion["value"] == pytest.approx(-1 / 6)
    # Wilson for 1 of 6 at 95%: 0.0301 to 0.5635
    assert [emotion["ci_low"], emotion["ci_high"]] == pytest.approx([-0.5635, -0.0301], abs=1e-4)
    # the points add up to the mean score of a category: (6 + 4 + 3) / 3
    assert sum(one["value"] for one in criteria["MSR"].values()) == pytest.approx(
        results["categories"]["MSR"]["mean"]["value"]
    )
    usage = results["run"]["usage"]
    assert (usage["calls"], usage["completion_tokens"], usage["uncounted"]) == (9, 9 * 20, 0)

    printed = capsys.readouterr().out
    assert "Image quality" in printed
    money = (usage["prompt_tokens"] * 2.5 + 180 * 10) / 1e6
    assert f"9 calls, {usage['prompt_tokens']:,} tokens in and 180 out: {money:.4f}" in printed


def test_a_recording_of_it_is_replayed_with_criteria(tmp_path, answers, server):
    assert score(answers, tmp_path / "out", server) == 0
    replay = ["--judge", f"replay:{tmp_path / 'out' / 'verdicts.jsonl'}", "--out", str(tmp_path / "again")]
    assert cli.main(["score", str(answers), "--benchmark", "mmie", *replay]) == 0
    once, again = (rows(tmp_path / name / "verdicts.jsonl") for name in ("out", "again"))
    for id_, row in once.items():
        assert (again[id_]["score"], again[id_]["details"]["criteria"]) == (row["score"], row["details"]["criteria"])


def test_people_agree_criterion_by_criterion(tmp_path, answers, server, capsys):
    """The first annotator says what is true; the second misses one picture of six, and one text of six."""
    assert score(answers, tmp_path / "out", server) == 0
    lines = []
    for id_ in ANSWERS:
        marks = named(id_)
        other = {**marks}
        if id_ == "PBL-9003":
            other["Image quality"] = 0
        if id_ == "SA-9006":
            other["Text quality"] = 0
        lines += [{"id": id_, "model": "m", "annotator": who, "score": max(0, sum(marks.values())), "criteria": given}
                  for who, given in (("a", marks), ("b", other))]  # fmt: skip
    humans = tmp_path / "humans.jsonl"
    for who, wanted in (("a", (1.0, 0.0)), ("b", (None, 1 / 6))):
        humans.write_text("".join(json.dumps(line) + "\n" for line in lines if line["annotator"] == who))
        command = ["agree", str(tmp_path / "out"), str(humans), "--resamples", "100", "--out", str(tmp_path / who)]
        assert cli.main(command) == 0
        found = json.loads((tmp_path / who / "agreement.json").read_text())["criteria"]
        assert {name: one["mae"]["n"] for name, one in found.items()}["Text quality"] == 6
        assert set(found) == {*SA, *PBL, *MSR}
        kappa, error = wanted
        assert found["Image quality"]["mae"]["value"] == pytest.approx(error)
        if kappa is not None:
            assert found["Image quality"]["kappa_quadratic"]["value"] == kappa
            assert {one["mae"]["value"] for one in found.values()} == {0.0}
        else:
            # judge: 4 of 6 have pictures, b: 3 of 6; both 3, neither 2: observed 5/6, by chance (4·3 + 2·3)/36 = 1/2
            assert found["Image quality"]["kappa_quadratic"]["value"] == pytest.approx((5 / 6 - 1 / 2) / (1 / 2))
    assert "criterion" in capsys.readouterr().out


def test_runs_are_compared_and_reported_by_criterion(tmp_path, answers, server, capsys):
    worse = tmp_path / "worse.jsonl"
    said = {id_: [{**one, "image": None} for one in parts] for id_, (parts, _) in ANSWERS.items()}
    worse.write_text("".join(json.dumps({"id": id_, "response": parts}) + "\n" for id_, parts in said.items()))
    a, b = tmp_path / "a", tmp_path / "b"
    assert score(answers, a, server, "--model", "first") == score(worse, b, server, "--model", "second") == 0
    capsys.readouterr()
    verdicts = a / "verdicts.jsonl"  # in the order they were decided in, which must not show
    verdicts.write_text("".join(reversed(verdicts.read_text().splitlines(keepends=True))))
    assert cli.main(["compare", str(a), str(b), "--out", str(tmp_path / "c.json")]) == 0
    rows_of = json.loads((tmp_path / "c.json").read_text())["comparisons"][0]["criteria"]
    # four of six answers showed something, now none does
    pictures = rows_of["Image quality"]
    assert (pictures["wins"], pictures["losses"], pictures["ties"]) == (0, 4, 2)
    assert pictures["difference"]["value"] == pytest.approx(-4 / 6)
    assert pictures["p"] == pytest.approx(math.erfc(4 / math.sqrt(4 + 2) / math.sqrt(2)))  # 2 are made up
    assert rows_of["Emotional impact"]["difference"]["value"] == 0.0
    printed = capsys.readouterr().out
    assert "points by criterion:\nText quality" in printed
    assert printed.count("Image quality") == 2  # the runs, and their difference

    assert cli.main(["table", str(a), str(b), "--by", "criterion", "--format", "csv"]) == 0
    csv = capsys.readouterr().out
    assert any("Image quality,points,0.66" in line for line in csv.splitlines())
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    assert cli.main(["report", str(a), str(b), "--out", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "<h3>MMIE: criteria</h3>" in page
    assert "<td>all</td><td>Image quality</td>" in page


def test_a_judge_without_criteria_says_so_once(tmp_path, answers, capsys):
    feedback = tmp_path / "feedback.jsonl"
    feedback.write_text("".join(f'{{"id": "{id_}", "feedback": "Fine.\\n### Score\\n3"}}\n' for id_ in ANSWERS))
    arguments = ["--judge", f"replay:{feedback}", "--out", str(tmp_path / "out")]
    assert cli.main(["score", str(answers), "--benchmark", "mmie", *arguments]) == 0
    said = "this judge gives a score and no points for single criteria"
    assert capsys.readouterr().out.count(said) == 1
    assert "criteria" not in json.loads((tmp_path / "out" / "results.json").read_text())
    assert cli.main(["compare", str(tmp_path / "out"), str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.count(said) == 1
    humans = tmp_path / "humans.jsonl"
    humans.write_text(json.dumps({"id": "SA-9007", "annotator": "a", "score": 5, "criteria": named("SA-9007")}) + "\n")
    assert cli.main(["agree", str(tmp_path / "out"), str(humans), "--resamples", "100"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.count(said) == 1


def test_a_dry_run_says_what_it_will_cost_and_asks_nobody(tmp_path, answers, server, capsys):
    more = ["--dry-run", "--votes", "3", "--temperature", "1", "--price", "2.50/10"]
    assert score(answers, tmp_path / "out", server, *more) == 0
    assert (server.asked, server.known_prompts) == ([], [])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("9 requests, 0 dropped")
    assert ": 27 calls, about " in lines[1]
    assert lines[1].endswith("(at 2.5/10), if nothing is judged yet")
    assert not (tmp_path / "out" / "verdicts.jsonl").exists()


def test_votes_stand_in_the_verdict_and_how_it_was_asked_in_the_signature(tmp_path, answers, server):
    assert score(answers, tmp_path / "out", server, "--votes", "3", "--temperature", "0.5") == 0
    found = rows(tmp_path / "out" / "verdicts.jsonl")
    assert found["PBL-9005"]["details"]["votes"] == [3, 3, 3]
    signature = json.loads((tmp_path / "out" / "results.json").read_text())["signature"]
    assert "|judge:openai:the-judge|server:vllm 0.99|reply:json_schema@" in signature
    assert "|pictures:1536|temperature:0.5|votes:3|tokens:4096|engine:general|" in signature


def test_a_mismatch_is_noted_and_the_computed_total_counts(tmp_path, answers):
    def flattering(text, pictures):
        said = truth(text, pictures)
        return {**said, "text": json.dumps({**json.loads(said["text"]), "total": 6})}

    with FakeEndpoint(flattering) as server:
        assert score(answers, tmp_path / "out", server) == 0
    found = rows(tmp_path / "out" / "verdicts.jsonl")
    assert {id_: row["score"] for id_, row in found.items()} == TOTALS
    assert found["PBL-9001"]["details"]["note"] == "total given 6, the criteria add up to 0"
    assert "note" not in found["PBL-9003"]["details"]


def test_probes_run_on_it_and_are_shown(tmp_path, server, capsys):
    arguments = ["probe", f"openai:the-judge@{server.url}", "--n", "2", "--rubric", "mmjudge", "--out", str(tmp_path)]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "None of the" in printed  # no instruction in an answer moves a judge that only looks at what is true
    assert "tokens in" in printed
    written = json.loads((tmp_path / "probe.json").read_text())
    assert (written["judge"], written["moved_by"]) == ("openai:the-judge", [])


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--price", "cheap"], "'cheap' is no price; write IN/OUT"),
        (["--votes", "0"], "'0' is not a whole number of 1 or more"),
        (["--temperature", "hot"], "'hot' is no temperature"),
        (["--temperature", "nan"], "'nan' is no temperature"),
        (["--judge-max-side", "-1"], "'-1' is not a whole number of 0 or more"),
        (["--votes", "2"], "ask the same thing again"),
        (["--device", "cpu"], "--device means nothing here: a general judge runs at its address"),
        (["--judge", "openai:other"], "--judge is given several times"),
    ],
)
def test_bad_input(tmp_path, answers, server, capsys, more, why):
    try:
        code = score(answers, tmp_path / "out", server, *more)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--votes", "--temperature", "--judge-max-side"])
def test_its_options_mean_nothing_for_other_judges(tmp_path, answers, capsys, option):
    arguments = ["score", str(answers), "--benchmark", "mmie", "--judge", "http://127.0.0.1:9/v1", option, "2"]
    assert cli.main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert f"{option} means nothing here" in capsys.readouterr().err


def test_a_run_that_was_interrupted_asks_only_for_the_rest(tmp_path, answers, server):
    refused = Fault(status=400)
    server.script = lambda number, body: refused if number >= 5 else None
    score(answers, tmp_path / "out", server, "--max-unscored", "100%")
    server.script = lambda number, body: None
    before = len(server.asked)
    assert score(answers, tmp_path / "out", server) == 0
    assert 0 < len(server.asked) - before < len(ANSWERS)
    assert {id_: row["score"] for id_, row in rows(tmp_path / "out" / "verdicts.jsonl").items()} == TOTALS


def test_what_doctor_says_of_the_environments_judge(server):
    job = Job((BENCHMARK,), "none", {"MMJUDGE_JUDGE": f"openai:the-judge@{server.url}"}, deep=True)
    *_, last = check_served_judge(job)
    assert last.found == "openai:the-judge answers a first question; its replies are held to a JSON schema"
    server.known_script = lambda number, body: Fault(status=401, body=b'{"error": "no"}')
    with pytest.raises(UserError, match=r"wants a key, and none is in \$MMJUDGE_API_KEY"):
        list(check_served_judge(job))
