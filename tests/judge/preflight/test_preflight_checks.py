"""All checks together on machines of the test's own, with a fake Hub and a fake GPU."""

from __future__ import annotations

import dataclasses
import os

import pytest
from huggingface_hub import constants
from machines import WELL, FakeHub, job, judge_bytes, nvidia_smi, snapshot

from judge.preflight import checks
from judge.preflight.checks import PARTS, examine
from judge.preflight.finding import Finding

H200 = "0, GPU-aaaa, NVIDIA H200, 143771, 143000"
PLACES = {
    ("dataset", "MMIE/MMIE"): 200,
    ("dataset", "BAAI/Multimodal-Robustness-Benchmark"): 200,
    ("model", "MMIE/MMIE-Score"): 200,
}
SIZES = {
    "MMIE/MMIE": {"data.json": 23_000_000, "images.tar.gz": 5_000_000_000},
    "BAAI/Multimodal-Robustness-Benchmark": {
        "MMR-benchmark/MMR-benchmark.json": 714_000,
        "MMR-benchmark/MMR-benchmark-images.zip": 131_000_000,
    },
    "MMIE/MMIE-Score": {
        "model-00001-of-00002.safetensors": 4_900_000_000,
        "model-00002-of-00002.safetensors": 3_400_000_000,
    },
}


@pytest.fixture
def new_machine(tmp_path, monkeypatch):
    """One with a GPU on which nothing was fetched yet. Gives what is found there; access: of the Hub's places."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(checks, "check_packages", lambda job: iter([Finding("packages", "ok", "all is here")]))
    monkeypatch.setattr(checks, "check_tasks", lambda job: iter([Finding("tasks", "ok", "ours")]))
    monkeypatch.setattr(checks, "build_of", lambda package: "2.15.0+cu132")
    monkeypatch.setattr(checks, "_reach", lambda address: "")
    monkeypatch.setattr("judge.preflight.disk._free", lambda folder: 500 * 10**9)
    monkeypatch.chdir(tmp_path)

    def found(access=PLACES, **changes):
        hub = FakeHub(access)
        hub.files = {
            repo: [{"rfilename": name, "size": size} for name, size in of.items()] for repo, of in SIZES.items()
        }
        path = nvidia_smi(tmp_path / "bin", H200) + os.pathsep + os.environ["PATH"]
        with hub.serving(monkeypatch):
            return examine(job(PATH=path, CUDA_VISIBLE_DEVICES=None, **changes))

    return found


def lines(examined, part):
    return [(line.state, line.found) for line in examined.findings if line.part == part]


def test_a_new_machine_from_which_all_can_be_fetched(new_machine):
    examined = new_machine()
    assert examined.works
    assert {line.state for line in examined.findings} == {"ok"}
    assert [line.part for line in examined.findings] == sorted((f.part for f in examined.findings), key=PARTS.index)
    assert examined.settings == {
        "judge": "MMIE/MMIE-Score", "device": "cuda", "dtype": "bfloat16", "rubric": "official", "profile": "strict",
    }  # fmt: skip
    assert [found for _, found in lines(examined, "hub")] == [
        "logged in as anna",
        "dataset MMIE/MMIE: may be fetched (records and pictures must be)",
        "dataset BAAI/Multimodal-Robustness-Benchmark: may be fetched (records and pictures must be)",
        "model MMIE/MMIE-Score: may be fetched (all of it must be)",
    ]
    # 2 x (23 MB + 5 GB) and 2 x 131.7 MB, packed and unpacked, and 8.3 GB: 18.6 GB
    assert "to be fetched: 18.6 GB" in lines(examined, "disk")[0][1]


def test_a_judge_that_the_account_may_not_fetch(new_machine):
    examined = new_machine({**PLACES, ("model", "MMIE/MMIE-Score"): "gated"})
    assert not examined.works
    failing = [line for line in examined.findings if line.state == "fails"]
    assert [line.part for line in failing] == ["hub", "judge"]
    assert failing[0].mend == "accept its terms on https://huggingface.co/MMIE/MMIE-Score, then: hf auth login"
    # what the published judge needs is known all the same
    assert "the judge's weights take 8.3 GB in bfloat16" in lines(examined, "device")[0][1]


def test_a_judge_that_is_here_already_needs_no_access(new_machine, tmp_path):
    snapshot(tmp_path / "hub", "model", "MMIE/MMIE-Score", judge_bytes())
    examined = new_machine({**PLACES, ("model", "MMIE/MMIE-Score"): "gated"})
    assert examined.works
    assert lines(examined, "judge")[0][1].startswith("MMIE/MMIE-Score (Hub cache, 0123456789ab): 2.7 MB")


def test_the_rubric_is_asked_for_though_nothing_else_must_be(new_machine, tmp_path, monkeypatch):
    here = {**WELL, "MMJUDGE_RUBRIC": "official"}
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    examined = new_machine(**here)
    assert lines(examined, "hub") == [("ok", "not needed: data and judge are named, and nothing is fetched")]
    assert examined.works
    assert "the official rubric is not here; fetched from https://" in lines(examined, "judge")[1][1]
    monkeypatch.setattr(checks, "_reach", lambda address: "URLError: no route")
    assert lines(new_machine(**here), "judge")[1] == (
        "fails",
        "the official rubric is not in the cache (URLError: no route)",
    )


def test_no_room_for_what_must_be_fetched(new_machine, monkeypatch):
    monkeypatch.setattr("judge.preflight.disk._free", lambda folder: 18 * 10**9)
    assert [state for state, _ in lines(new_machine(), "disk")] == ["fails", "ok"]


def test_a_device_that_the_environment_names(new_machine, monkeypatch):
    monkeypatch.setattr("judge.preflight.device.free_memory", lambda: 64 * 10**9)
    examined = new_machine(MMJUDGE_DEVICE="cpu", MMJUDGE_DTYPE="bfloat16")
    assert (examined.settings["device"], examined.settings["dtype"]) == ("cpu", "bfloat16")
    assert lines(examined, "device")[0][0] == "warning"


def test_deep_checks_come_under_their_headings(new_machine, monkeypatch):
    class Deep:
        def __init__(self, job, judge):
            assert judge is None  # of a judge that is not here nothing can be loaded

        def findings(self, checked, need):
            assert checked == "cuda"
            assert need.parameters > 10**9
            yield Finding("tasks", "fails", "another's")

    monkeypatch.setattr(checks, "DeepChecks", Deep)
    plain = job
    monkeypatch.setattr("test_preflight_checks.job", lambda **set_: dataclasses.replace(plain(**set_), deep=True))
    examined = new_machine()
    assert lines(examined, "tasks") == [("ok", "ours"), ("fails", "another's")]
    assert not examined.works
