"""Every example runs as it stands, and every snippet of docs/harnesses.md and docs/answers.md names what exists."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from judge.harness import settings
from mmie_tasks.benchmark import BENCHMARK as MMIE
from mmie_tasks.demo import demo_dir
from mmvu_tasks.benchmark import BENCHMARK as MMVU
from mmvu_tasks.demo import demo_dir as mmvu_demo_dir

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TASKS = {"mmie", "mmie_1k", "mmvu", "mmie_score", "mmvu_robust", "mmie_demo", "mmvu_demo"}
TAGS = {"mmjudge", "mmjudge_demo", "mmjudge_all"}


@pytest.fixture
def run(tmp_path):
    """Run a command in an empty folder, as somebody without settings of their own; its output."""

    def run(*command: str | Path) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MMJUDGE", "MMVU", "MMIE"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        done = subprocess.run(
            [str(word) for word in command],
            env={**kept, "PATH": path, "HF_HUB_OFFLINE": "1", "MMJUDGE_JOURNAL": str(tmp_path / "journal")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return run


def test_every_example_is_run_here_or_by_make_demo():
    there = {path.name for path in EXAMPLES.iterdir()}
    assert there == {
        "agree.sh",
        "agreement",
        "answers",
        "compare.sh",
        "demo.sh",
        "first_look.ipynb",  # test_first_look.py
        "from_python.py",
        "general_suite.yaml",
        "lmms_eval_config.yaml",
        "mmvu_train",
        "systems",
    }
    assert "examples/demo.sh" in (ROOT / "Makefile").read_text()


def test_comparing_saved_answers(run, tmp_path):
    out = run("bash", EXAMPLES / "compare.sh")
    # 24 pairs: hasty has both right in 13 and is misled in 10; careful 20 and 2, see answers/
    hasty, careful = (
        json.loads((tmp_path / f"out/compare/{name}/results.json").read_text()) for name in ("hasty", "careful")
    )
    assert hasty["metrics"]["RA"]["value"] == pytest.approx(100 * 13 / 24)
    assert hasty["metrics"]["MR"]["value"] == pytest.approx(100 * 10 / 23)
    assert careful["metrics"]["RA"]["value"] == pytest.approx(100 * 20 / 24)
    assert careful["metrics"]["MR"]["value"] == pytest.approx(100 * 2 / 22)
    # 8 pairs won, 1 lost, and one of each made up: 7 / √11 = 2.11 standard errors, p 0.035
    row = next(line for line in out.partition("B − A")[2].splitlines() if line.startswith("RA "))
    assert "+29.17" in row
    assert " 0.035 " in row


def test_agreement_with_made_up_people(run, tmp_path):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    made = {name: (EXAMPLES / "agreement" / f"{name}.jsonl").read_bytes() for name in ("careful", "hasty", "humans")}
    spec = importlib.util.spec_from_file_location("make", EXAMPLES / "agreement" / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    make.HERE = tmp_path
    make.main()
    assert {name: (tmp_path / f"{name}.jsonl").read_bytes() for name in made} == made

    out = run("bash", EXAMPLES / "agree.sh")
    found = json.loads((tmp_path / "out" / "agree" / "agreement.json").read_text())
    assert (found["n"] + found["left_out"]["unscored"]["n"], found["questions"], found["annotators"]) == (18, 9, 2)
    # the rule against itself with a point more or less on every third answer: 6 of 18, but where 0 or 6 allows none
    pairs = [json.loads(line) for line in made["humans"].decode().splitlines()]
    apart = [abs(one["score"] - other["score"]) for one, other in zip(pairs[::2], pairs[1::2], strict=True)]
    assert found["people"]["annotators"]["made-up-1"]["mae"]["value"] == pytest.approx(sum(apart) / 18)
    # MSR has no such criterion: 6 + 6 answers are judged again, 18 + 12 in all
    ablation = json.loads((tmp_path / "out" / "agree" / "ablation" / "ablation.json").read_text())
    assert ablation["criteria"]["Image quality"]["categories"] == ["SA", "PBL"]
    judged = tmp_path.glob("out/agree/ablation/*/*/verdicts.jsonl")
    assert sum(len(file.read_text().splitlines()) for file in judged) == 30
    assert "18 answers of careful, hasty" in out
    # what the pages show of it
    pages = maintained("pages")
    for page in ("docs/agreement.md", "docs/ablation.md"):
        (shown,) = [block.text for block in pages.read_blocks(page) if block.text.startswith("18 answers")]
        assert pages.differs(shown, out) is None


def maintained(name: str) -> ModuleType:
    """A script of maintain/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "maintain" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_from_python(run, tmp_path):
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")
    out = run(sys.executable, EXAMPLES / "from_python.py", "out")
    verdicts = [json.loads(line) for line in (tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()]
    assert [verdict["index"] for verdict in verdicts] == list(range(48))
    wrong = {verdict["id"] for verdict in verdicts if verdict["score"] == 0}
    # RA: pairs without a wrong answer, of 24
    assert f"RA       {100 * (24 - len(wrong)) / 24:6.2f}\n" in out
    assert f"pairs with a wrong answer: {', '.join(sorted(wrong))}\n" in out


def test_a_run_config_of_lmms_eval(run, tmp_path):
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")
    out = run("lmms-eval", "--config", EXAMPLES / "lmms_eval_config.yaml")
    for task, n in (("mmie_demo", len(MMIE.load(demo_dir()).records)), ("mmvu_demo", 48)):
        result = json.loads(
            (tmp_path / "out" / "config" / "mmjudge" / "mmjudge_demo" / task / "results.json").read_text()
        )
        assert (result["n"], result["unscored"]["n"]) == (n, 0)
        main = next(iter(result["metrics"]))
        # the row of lmms-eval's own table
        assert re.search(
            rf"^\|\s*{task}\s*\|.*\|\s*{main}\s*\|.*\|\s*{result['metrics'][main]['value']:.4f}\|", out, re.M
        )
    assert (tmp_path / "out" / "config" / "pictures").is_dir()


def test_mmvu_train_from_pictures_to_a_model_that_is_misled_less(run, tmp_path):
    for library in ("trl", "decord", "lmms_eval.models"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    out = run("bash", EXAMPLES / "mmvu_train" / "run.sh", "out")
    made = [json.loads(line) for line in (tmp_path / "out" / "made" / "pairs.jsonl").read_text().splitlines()]
    # prompt v3 asks for 7 to 10 pairs a picture; the teacher writes four about the colour and four about the thing
    assert {len(record["conversations-neg"]) // 2 for record in made} == {8}
    assert "240 pictures to train on, 60 to choose a weight on, 60 to measure on" in out
    assert len(made) == 240
    card = json.loads((tmp_path / "out" / "train" / "card.json").read_text())
    assert "leak" in json.dumps(card)
    training = json.loads((tmp_path / "out" / "tuned" / "training.json").read_text())
    # LoRA of rank 16 beside seven matrices of two layers, 4 of 64 x 64 and 3 of 64 x 128: 16 · (4 · 128 + 3 · 192);
    # the connector is 64 · 64 + 64, twice
    assert training["trainable"] == 2 * 16 * (4 * 128 + 3 * 192) + 2 * (64 * 64 + 64)
    sweep = json.loads((tmp_path / "out" / "sweep" / "sweep.json").read_text())
    best = max(sweep["tried"].values(), key=lambda numbers: numbers["RA"]["value"])
    assert sweep["tried"][f"{sweep['weight']:g}"]["RA"] == best["RA"]
    assert f"chosen: {sweep['weight']:g}, by RA on 96 pairs, which flatter it" in out
    parts = [set(sweep["parts"][name]["pairs"]) for name in ("chosen_on", "rest")]
    assert (len(parts[0]), len(parts[1]), parts[0] & parts[1]) == (96, 24, set())
    # lmms-eval on pictures that neither training nor the choice has seen
    (compared,) = json.loads((tmp_path / "out" / "compare.json").read_text())["comparisons"]
    negative = compared["metrics"]["NEG"]
    assert negative["difference"]["n"] == 120
    assert negative["difference"]["ci_low"] > 0


def snippets(language: str, page: str = "harnesses.md") -> list[str]:
    text = (ROOT / "docs" / page).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_run_configs_have_keys_that_lmms_eval_knows():
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")
    source = (Path(importlib.util.find_spec("lmms_eval").submodule_search_locations[0]) / "__main__.py").read_text()
    variables = set(re.findall(r"^ {4}(MMJUDGE_\w+)", settings.__doc__ or "", re.MULTILINE))
    configs = [*snippets("yaml"), (EXAMPLES / "lmms_eval_config.yaml").read_text()]
    assert len(configs) == 2
    for config in configs:
        for one in yaml.safe_load(config):
            assert set(one.pop("env")) <= variables
            for key in one:
                assert f'"--{key}"' in source, key
            assert set(one["tasks"].split(",")) & (TASKS | TAGS)


def test_the_names_in_the_table_are_those_of_the_task_files():
    files = [path for benchmark in (MMIE, MMVU) for path in benchmark.task_dir.glob("*.yaml")]
    texts = [path.read_text() for path in files]
    assert {re.search(r"^task: (\w+)", text, re.M)[1] for text in texts} == TASKS
    assert {
        tag for text in texts for found in re.findall(r"^tag: \[(.*)\]", text, re.M) for tag in found.split(", ")
    } == TAGS
    document = (ROOT / "docs" / "harnesses.md").read_text()
    for name in (*TASKS, *TAGS):
        assert f"`{name}`" in document


def test_the_snippet_for_lmms_eval_is_the_start_of_the_example():
    snippet, _ = snippets("python")
    example = (EXAMPLES / "from_python.py").read_text()
    for line in snippet.splitlines():
        if line.startswith(("from", "enable")):
            assert line.partition("  #")[0] in example
    compile(snippet, "docs/harnesses.md", "exec")


def test_the_snippet_for_evalscope_scores_what_a_server_says(run, tmp_path):
    """The snippet as it stands, but for the server and the datasets."""
    pytest.importorskip("evalscope", reason="evalscope is not installed (the dev extra does without it)")
    _, snippet = snippets("python")
    with letters() as address:
        program = snippet.replace("http://…/v1/chat/completions", address).replace('"MMVU", "MMIE"', '"MMVU_demo"')
        assert program.count("MMVU_demo") == 1
        assert address in program
        (tmp_path / "program.py").write_text(program)
        run(sys.executable, "program.py")
    (file,) = tmp_path.glob("out/*/MODEL/MODEL_MMVU_demo_mmjudge/results.json")
    result = json.loads(file.read_text())
    right = sum(record.ground_truth == "A" for record in MMVU.load(mmvu_demo_dir()).records)
    metrics = result["metrics"]
    assert result["n"] == 48
    assert metrics["POS"]["value"] + metrics["NEG"]["value"] == pytest.approx(100 * right / 24)


@contextlib.contextmanager
def letters():
    """The address of an OpenAI-compatible server that says "A"."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            choice = {"index": 0, "message": {"role": "assistant", "content": "A"}, "finish_reason": "stop"}
            body = json.dumps({"object": "chat.completion", "choices": [choice], "usage": {}}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
        server.shutdown()


def test_the_lines_of_answers_and_of_feedback_are_read(tmp_path):
    from judge.core.request import Request
    from judge.engines import Prompt
    from judge.engines.replay import Replay
    from judge.io.responses import read_responses

    answers, feedback = snippets("json", "answers.md")
    (tmp_path / "responses.jsonl").write_text(answers)
    (answer,) = read_responses(tmp_path / "responses.jsonl")
    assert (answer.id, answer.index, answer.response) == ("attribute/number/04", 272, "B. There are three.")
    (tmp_path / "feedback.jsonl").write_text(feedback)
    asked = Prompt(Request("PBL-2896694", "PBL", (), ()), ())
    ((_, said),) = Replay(tmp_path / "feedback.jsonl").complete([asked])
    assert said.text == "### Feedback\nGood.\n### Score\n4"
