"""The judge's files, in a folder and in a Hub cache; its rubric; and judges that do not run here."""

from __future__ import annotations

import dataclasses
import json
import socket

import pytest
from fake_endpoint import FakeEndpoint, hashed
from machines import MMIE, copied, job, judge_bytes, snapshot

from judge.preflight import served_judge
from judge.preflight.device import Need
from judge.preflight.finding import Finding
from judge.preflight.hub import Access, Place
from judge.preflight.judge_files import JUDGE, bytes_to_fetch, check_judge_files, check_rubric, find_judge
from judge.preflight.served_judge import check_served_judge
from mmie_tasks import rubrics
from mmie_tasks.demo import judge_dir

NAME = "MMIE/MMIE-Score"
SIZES = {"model-00001-of-00002.safetensors": 4_900_000_000, "model-00002-of-00002.safetensors": 3_400_000_000}
MAY, MAY_NOT = Access(True, sizes={**SIZES, "README.md": 10}), Access(False, "gated")
pytestmark = pytest.mark.usefixtures("cache")


def lines(name, access=MAY):
    return list(check_judge_files(find_judge(name), access))


def test_a_folder():
    found = find_judge(str(judge_dir()))
    size = sum(len(data) for name, data in judge_bytes().items() if name.endswith(".safetensors"))
    (line,) = check_judge_files(found, Access(None))
    assert line == Finding(JUDGE, "ok", f"{judge_dir()}: {size / 1e6:.1f} MB of weights that fit its config")
    config = json.loads(judge_bytes()["config.json"])["llm_config"]
    # keys and values, in every layer, of every head
    kept = config.get("num_key_value_heads") or config["num_attention_heads"]
    head = config["hidden_size"] // config["num_attention_heads"]
    assert found.need.per_token == 2 * config["num_hidden_layers"] * kept * head


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("config.json", "config.json: is missing from the judge folder"),
        ("model.safetensors", "holds no *.safetensors"),
    ],
)
def test_a_folder_that_is_not_whole(tmp_path, lost, words):
    folder = copied(judge_dir(), tmp_path / "judge")
    (folder / lost).unlink()
    (line,) = lines(str(folder))
    assert line.state == "fails"
    assert words in line.found
    assert line.mend


def test_weights_that_do_not_fit_the_config(tmp_path):
    folder = copied(judge_dir(), tmp_path / "judge")
    config = json.loads((folder / "config.json").read_text())
    config["llm_config"]["intermediate_size"] += 8
    (folder / "config.json").write_text(json.dumps(config))
    (line,) = lines(str(folder))
    assert (line.state, "weights do not fit config.json" in line.found) == ("fails", True)


def test_the_published_judge_before_it_is_fetched():
    found = find_judge(NAME)
    assert (found.place, found.folder, found.to_fetch) == (Place(NAME, "model"), None, "all of it")
    assert found.need == Need(4_146_855_936, 196_608)
    (line,) = check_judge_files(found, MAY)
    assert line == Finding(
        JUDGE, "ok", f"{NAME}: not here; fetched when first used, 8.3 GB", "hf download MMIE/MMIE-Score"
    )
    (line,) = check_judge_files(found, MAY_NOT)
    assert (line.state, line.found) == ("fails", f"{NAME}: not here, 8.3 GB, and the Hub refuses {NAME}")
    assert "export MMJUDGE_JUDGE=" in line.mend


def test_what_another_judge_needs_is_the_hubs_to_say():
    found = find_judge("ORG/NAME@v2")
    assert found.need is None
    assert found.place == Place("ORG/NAME", "model", "v2")
    assert bytes_to_fetch(found, Access(None)) is None
    assert bytes_to_fetch(found, MAY) == 8_300_000_000


def test_a_whole_judge_in_the_cache(cache):
    snapshot(cache, "model", NAME, judge_bytes())
    found = find_judge(NAME)
    assert found.to_fetch == ""
    (line,) = check_judge_files(found, MAY_NOT)
    assert line.state == "ok"
    assert line.found.startswith(f"{NAME} (Hub cache, 0123456789ab): ")


@pytest.mark.parametrize("lost", ["model.safetensors", "tokenizer.model", "config.json"])
def test_a_part_of_a_judge_in_the_cache(cache, lost):
    files = judge_bytes()
    size = len(files.pop(lost))
    snapshot(cache, "model", NAME, files)
    found = find_judge(NAME)
    assert found.missing == (lost,)
    (line,) = check_judge_files(found, Access(True, sizes={lost: size}))
    assert line.state == "ok"
    assert f"not whole: {lost} must be fetched; fetched when first used" in line.found
    (line,) = check_judge_files(found, MAY_NOT)
    assert line.state == "fails"


def test_a_shard_that_is_missing(cache):
    files = judge_bytes()
    data = files.pop("model.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files |= {"model-1.safetensors": data, "model.safetensors.index.json": json.dumps(index).encode()}
    snapshot(cache, "model", NAME, files)
    assert find_judge(NAME).missing == ("model-2.safetensors",)


# The rubric -----------------------------------------------------------------------------------------------------------


def test_our_rubric_is_always_here():
    assert list(check_rubric(MMIE, "mmjudge", None)) == [Finding(JUDGE, "ok", "the mmjudge rubric is here")]


def test_the_official_rubric_before_it_is_fetched(monkeypatch):
    def fetched(*arguments, **options):
        raise AssertionError("a doctor fetches nothing")

    monkeypatch.setattr(rubrics.urllib.request, "urlopen", fetched)
    (line,) = check_rubric(MMIE, "official", "")
    assert (line.state, rubrics.URL in line.found) == ("ok", True)
    (line,) = check_rubric(MMIE, "official", "URLError: no route")
    assert (line.state, line.found) == ("fails", "the official rubric is not in the cache (URLError: no route)")
    assert rubrics.URL in line.mend
    (line,) = check_rubric(MMIE, "official", None)
    assert (line.state, line.found) == ("fails", "the official rubric is not in the cache")


def test_another_file_in_the_rubrics_place():
    file = rubrics.cache_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("SA_SYSTEM_PROMPT = 'be kind'")
    try:
        (line,) = check_rubric(MMIE, "official", None)
    finally:
        file.unlink()
    assert (line.state, "not the official rubric" in line.found) == ("fails", True)


# Judges elsewhere -----------------------------------------------------------------------------------------------------


def served(judge, deep=False, **environment):
    return list(check_served_judge(dataclasses.replace(job(MMJUDGE_JUDGE=judge, **environment), deep=deep)))


def test_a_server_that_answers():
    with FakeEndpoint(hashed) as fake:
        found = served(fake.url)
        assert fake.asked == fake.known_prompts == []  # nothing is put to the judge
    assert [line.state for line in found] == ["warning", "ok"]
    assert "MMJUDGE_TOKENIZER" in found[0].mend
    assert found[1].found == f"the-judge by vllm 0.99 at {fake.url}"


def test_a_server_is_asked_the_known_prompts_by_deep():
    with FakeEndpoint(hashed) as fake:
        found = served(fake.url, deep=True, MMJUDGE_TOKENIZER=str(judge_dir()))
        assert fake.known_prompts
    assert [line.state for line in found] == ["ok", "ok"]
    assert found[1].found == "the-judge answers the known prompts; prompts checked"


def free_address() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def test_a_server_that_does_not_answer(monkeypatch):
    gone = free_address()
    line = served(gone)[1]
    assert (line.state, line.mend) == ("fails", served_judge.MEND)
    assert line.found.startswith(f"{gone}: cannot be reached")
    with FakeEndpoint(hashed) as fake:
        fake.health = None
        monkeypatch.setattr(served_judge, "NETWORK_SECONDS", 0.2)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            line = served(f"http://127.0.0.1:{silent.getsockname()[1]}/v1")[1]
    assert (line.state, "no whole reply in 0.2 s" in line.found) == ("fails", True)


def test_one_of_two_servers_does_not_answer():
    with FakeEndpoint(hashed) as fake:
        found = served(f"{free_address()},{fake.url}")
    assert [line.state for line in found] == ["warning", "warning", "ok"]


def test_a_tokenizer_that_is_not_here():
    with FakeEndpoint(hashed) as fake:
        found = served(fake.url, MMJUDGE_TOKENIZER=NAME)
    assert found[0].state == "warning"
    assert found[0].found.startswith(f"MMJUDGE_TOKENIZER={NAME}, of which nothing is here")
    assert found[1].state == "ok"


def test_a_general_judge(monkeypatch):
    with FakeEndpoint(hashed, model="the-judge") as fake:
        (line,) = served(f"openai:the-judge@{fake.url}")
        assert fake.known_prompts == []
        assert (line.state, line.found) == ("ok", f"the-judge by vllm 0.99 at {fake.url}")
    (line,) = served("openai:gpt-4o")
    assert line == Finding(
        JUDGE, "fails", "OpenAI wants a key, and $OPENAI_API_KEY is not set", "export OPENAI_API_KEY=…"
    )


def test_a_password_in_an_address_is_not_shown():
    address = free_address().replace("http://", "http://anna:hunter2-secret@")
    assert "hunter2" not in served(address)[1].found


def test_recorded_feedback(tmp_path):
    file = tmp_path / "feedback.jsonl"
    file.write_text('{"id": "PBL-1", "feedback": "### Score\\n4"}\n')
    assert served(f"replay:{file}") == [Finding(JUDGE, "ok", f"recorded feedback is replayed from {file}")]


def test_a_refused_list_of_models():
    with FakeEndpoint(hashed) as fake:
        fake.cards = None
        line = served(fake.url)[1]
    assert (line.state, "/models does not say what is served" in line.found) == ("fails", True)
