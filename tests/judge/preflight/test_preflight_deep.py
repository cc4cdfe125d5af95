"""What processes of their own answer: made up here, but for the hashes; the real ones are asked in
tests/test_package.py."""

from __future__ import annotations

import dataclasses

import pytest
from huggingface_hub import constants
from machines import MMIE, MMVU, job, judge_bytes, snapshot

from judge.preflight import deep
from judge.preflight.deep import DeepChecks, check_weights_hash
from judge.preflight.device import Need
from judge.preflight.finding import Finding
from judge.preflight.judge_files import find_judge
from mmie_tasks.demo import judge_dir

OURS = {"mmie": str(MMIE.task_dir / "mmie.yaml"), "mmvu": str(MMVU.task_dir / "mmvu.yaml")}
BUILTIN = "/site-packages/lmms_eval/tasks/mmie/mmie.yaml"
ANSWERS = {
    deep.LMMS_EVAL: OURS,
    deep.VLMEVAL: {"datasets": ["MMBench", "MMIE", "MMVU"]},
    deep.TORCH: {"cuda": False, "gpus": 0, "name": None},
    deep.JUDGED: {"bytes": 8_293_711_872},
}


@pytest.fixture
def says(monkeypatch):
    """The lines of the deep checks, where the processes answer so."""

    def says(answers=None, harness="lmms-eval", checked="cpu", need=None, **environment):
        def answer(script, *arguments):
            found = {**ANSWERS, **(answers or {})}[script]
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(deep, "_answer", answer)
        monkeypatch.setattr(deep, "installed_version", lambda *names: "1")
        return list(DeepChecks(job(harness, **environment), "some/judge").findings(checked, need))

    return says


def test_all_is_well(says):
    assert says() == [
        Finding("tasks", "ok", f"lmms-eval: mmie is {OURS['mmie']}, as a run sees it"),
        Finding("tasks", "ok", f"lmms-eval: mmvu is {OURS['mmvu']}, as a run sees it"),
        Finding("tasks", "ok", "VLMEvalKit: our datasets are in its tables"),
        Finding("device", "ok", "torch sees the CPU"),
        Finding("judge", "ok", "its config and tokenizer can be read, and its 8.3 GB of weights fit them"),
    ]


@pytest.mark.parametrize(
    ("path", "said"), [(BUILTIN, f"lmms-eval: mmie is not ours, but {BUILTIN}"), (None, "lmms-eval: mmie is not found")]
)
def test_the_doctor_tells_ours_from_others(says, path, said):
    found = says({deep.LMMS_EVAL: {**OURS, "mmie": path}})
    assert (found[0].state, found[0].found) == ("fails", said)
    assert '--include_path "$(python -m mmie_tasks)"' in found[0].mend
    assert found[1].state == "ok"
    assert says({deep.LMMS_EVAL: {**OURS, "mmie": path}}, "vlmeval")[0].state == "warning"


def test_a_dataset_that_vlmevalkit_does_not_have(says):
    without = {deep.VLMEVAL: {"datasets": ["MMIE"]}}
    assert [line.state for line in says(without, "vlmeval") if "VLMEvalKit" in line.found] == ["fails"]
    assert [line.state for line in says(without) if "VLMEvalKit" in line.found] == ["warning"]


def test_imports_that_fail(says):
    error = deep._Ended("RuntimeError: operator torchvision::nms does not exist")
    found = says(dict.fromkeys(ANSWERS, error))
    assert [(line.part, line.state) for line in found] == [
        ("tasks", "fails"),
        ("tasks", "warning"),
        ("packages", "fails"),
        ("judge", "fails"),
    ]
    assert all(str(error) in line.found and "pip install" in line.mend for line in found)


def test_a_judge_that_does_not_do(says):
    found = says({deep.JUDGED: {"problem": "judge/config.json: is broken", "fix": "download it again"}})
    assert found[-1] == Finding("judge", "fails", "judge/config.json: is broken", "download it again")


def test_what_a_gpu_has(says):
    seen = {"cuda": True, "gpus": 1, "name": "NVIDIA H200", "free": 149 * 10**9, "total": 150 * 10**9}
    assert says({deep.TORCH: seen})[-2].found == "torch sees NVIDIA H200, 149 GB of 150 GB free"


def test_a_gpu_that_torch_does_not_see(says):
    """nvidia-smi shows one, or does not answer: what then holds is what a run on the CPU needs."""
    published, tiny = Need(4_146_855_936), Need(1_350_000)
    for checked in ("cuda", None):
        found = [line for line in says(checked=checked, need=published) if line.part == "device"]
        assert [line.state for line in found] == ["warning", "fails"]
        assert found[0].found == "torch sees no GPU, but the CPU"
        found = [line for line in says(checked=checked, need=tiny) if line.part == "device"]
        assert [line.state for line in found] == ["warning", "ok"]
    found = [line for line in says(checked="cuda", need=tiny, MMJUDGE_DEVICE="cuda") if line.part == "device"]
    assert [line.state for line in found] == ["fails"]
    found = [line for line in says(checked=None, MMJUDGE_JUDGE="http://127.0.0.1:9/v1") if line.part == "device"]
    assert [line.state for line in found] == ["ok"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("import sys; sys.exit(3)", "ended with 3"),
        ("print('no JSON')", "printed no answer"),
        ("pass", "printed no answer"),
    ],
)
def test_a_process_that_does_not_answer(script, words):
    with pytest.raises(deep._Ended, match=words):
        deep._answer(script)


def test_a_process_that_answers_after_noise():
    assert deep._answer("import sys; print('noise'); print('[\"' + sys.argv[1] + '\"]')", "a") == ["a"]


def test_a_process_that_takes_for_ever(monkeypatch):
    monkeypatch.setattr(deep, "SECONDS", 0.1)
    with pytest.raises(TimeoutError, match=r"no answer in 0\.1 s"):
        deep._answer("import time; time.sleep(30)")


def test_the_judge_is_looked_at_as_a_run_does():
    pytest.importorskip("torch", reason="the hf extra is not installed")
    assert deep._answer(deep.JUDGED, str(judge_dir()), "cpu", "")["bytes"] > 0
    found = deep._answer(deep.JUDGED, str(judge_dir().parent), "cpu", "")
    assert "config.json: is missing from the judge folder" in found["problem"]
    assert "\n" not in found["problem"]


def test_weights_of_the_hub_are_compared_with_its_hashes(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    folder = snapshot(tmp_path, "model", "MMIE/MMIE-Score", judge_bytes())
    (line,) = check_weights_hash(find_judge("MMIE/MMIE-Score"))
    assert (line.state, "is the Hub's, by SHA-256" in line.found) == ("ok", True)
    blob = (folder / "model.safetensors").resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    (line,) = check_weights_hash(find_judge("MMIE/MMIE-Score"))
    assert line.state == "fails"
    assert line.found == "model.safetensors is not the file that the Hub has: its SHA-256 differs"
    assert line.mend == f"rm {blob} && hf download MMIE/MMIE-Score"


def test_weights_of_a_folder_have_a_hash_that_can_be_compared():
    (line,) = check_weights_hash(find_judge(str(judge_dir())))
    assert (line.state, "nothing here says what it should be" in line.found) == ("ok", True)


def test_only_what_is_installed_is_asked(monkeypatch):
    monkeypatch.setattr(deep, "installed_version", lambda *names: None)
    assert list(DeepChecks(dataclasses.replace(job(), deep=True), None).findings()) == []
