"""The device, from an nvidia-smi of our own, and memory against what a judge needs."""

from __future__ import annotations

import os
import subprocess

import pytest
from machines import MMIE, job, nvidia_smi

from judge.engines.local import CPU_TOKENS, RESERVED_BYTES
from judge.preflight import device
from judge.preflight.device import ACTIVATIONS, Gpu, Need, check_device, list_gpus
from judge.preflight.judge_files import KNOWN

GB = 10**9
H200 = Gpu(0, "NVIDIA H200", 150 * GB, 149 * GB)
SCORE = KNOWN["MMIE/MMIE-Score"]
ROWS = ("0, GPU-aaaa, NVIDIA A100, 81920, 81000", "1, GPU-bbbb, NVIDIA T4, 15360, 512")


@pytest.fixture
def smi(tmp_path):
    return {"PATH": nvidia_smi(tmp_path / "bin", *ROWS)}


A100 = Gpu(0, "NVIDIA A100", 81920 << 20, 81000 << 20)
T4 = Gpu(1, "NVIDIA T4", 15360 << 20, 512 << 20)


@pytest.mark.parametrize(
    ("visible", "seen"),
    [
        (None, [A100, T4]),
        ("", []),
        ("1", [T4]),
        ("1,0", [T4, A100]),
        ("GPU-bb", [T4]),
        ("0,7,1", [A100]),  # as CUDA does: up to the first that is not there
        ("GPU-", []),  # several begin so
        ("-1", []),
        ("nonsense", []),
    ],
)
def test_the_gpus_that_the_environment_leaves(smi, visible, seen):
    environment = smi if visible is None else {**smi, "CUDA_VISIBLE_DEVICES": visible}
    assert list_gpus(environment) == seen


def test_no_driver_is_no_gpu(tmp_path):
    assert list_gpus({"PATH": str(tmp_path)}) == []


def test_an_nvidia_smi_that_fails_is_not_taken_for_no_gpu(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        list_gpus({"PATH": nvidia_smi(tmp_path, code=9)})


@pytest.mark.parametrize("row", ["0, GPU-a, A100, [N/A], [N/A]", "nonsense", "0, GPU-a, A100"])
def test_a_row_that_cannot_be_read_is_an_error(tmp_path, row):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says, it is shown
        list_gpus({"PATH": nvidia_smi(tmp_path, row)})


def test_what_the_published_judge_needs():
    # 4,146,855,936 numbers of 2 bytes; 2 (keys, values) x 32 layers x 3,072 numbers a token
    assert SCORE.weights("bfloat16") == 8_293_711_872
    assert SCORE.per_token == 2 * 32 * 3072
    assert SCORE.cache("float32") == CPU_TOKENS * 196_608 * 4


def one(job, gpus, build="cu132", need=SCORE):
    found = list(check_device(job, gpus, build, need))
    assert len(found) == 1
    return found[0]


def test_a_gpu_with_room():
    line = one(job(), [H200])
    assert line.state == "ok"
    assert line.found == ("cuda, NVIDIA H200: 149 GB of 150 GB are free; the judge's weights take 8.3 GB in bfloat16")


@pytest.mark.parametrize(
    ("total", "free", "state", "words"),
    [
        (8 * GB, 8 * GB, "fails", "more than this GPU has"),
        (80 * GB, SCORE.weights("bfloat16") + ACTIVATIONS - 1, "fails", "more than is free now"),
        (80 * GB, SCORE.weights("bfloat16") + ACTIVATIONS, "warning", "slowly"),
        (80 * GB, SCORE.weights("bfloat16") + RESERVED_BYTES + SCORE.cache("bfloat16"), "ok", "80.0 GB"),
    ],
)
def test_memory_of_a_gpu_against_the_judges_need(total, free, state, words):
    line = one(job(), [Gpu(0, "G", total, free)])
    assert line.state == state
    assert words in line.found
    assert (line.mend is None) == (state == "ok")


def test_the_number_type_changes_the_need():
    gpu = Gpu(0, "G", 16 * GB, 16 * GB)
    # 16.6 GB in float32
    assert one(job(MMJUDGE_DTYPE="float32"), [gpu]).state == "fails"
    assert one(job(), [gpu]).state == "warning"


def test_a_judge_of_which_nothing_is_known():
    line = one(job(), [H200], need=None)
    assert line.state == "ok"
    assert "not known yet" in line.found


def test_a_device_that_is_not_there():
    line = one(job(MMJUDGE_DEVICE="cuda:1"), [H200])
    assert line.state == "fails"
    assert "no GPU cuda:1 here" in line.found
    assert "cuda:0 (NVIDIA H200)" in line.found
    assert one(job(MMJUDGE_DEVICE="cuda"), []).state == "fails"


def test_a_rank_has_its_own_gpu():
    ranked = job(RANK="1", WORLD_SIZE="2", LOCAL_RANK="1")
    found = [*check_device(ranked, [A100, T4], "cu132", Need(10**6))]
    assert found[0].found.startswith("cuda:1, NVIDIA T4")


def test_a_torch_for_cpus_beside_a_gpu(monkeypatch):
    monkeypatch.setattr(device, "free_memory", lambda: 64 * GB)
    found = list(check_device(job(MMJUDGE_DEVICE="cpu"), [H200], "cpu", SCORE))
    assert [finding.state for finding in found] == ["warning", "warning"]
    assert "this torch is built for CPUs alone" in found[0].found
    assert next(check_device(job(MMJUDGE_DEVICE="cuda"), [H200], "cpu", SCORE)).state == "fails"


@pytest.mark.parametrize(
    ("harness", "device_", "free", "state", "words"),
    [
        # as judge.harness.session does: no judge of that size on a CPU that nobody asked for
        ("lmms-eval", None, 64 * GB, "fails", "without a GPU it takes days"),
        ("vlmeval", None, 64 * GB, "fails", "without a GPU it takes days"),
        ("lmms-eval", "cpu", 64 * GB, "warning", "without a GPU it takes days"),
        ("none", None, 64 * GB, "warning", "without a GPU it takes days"),
        ("none", None, 16 * GB, "fails", "more than there is"),  # 16.6 GB in float32
        ("none", None, None, "warning", "without a GPU"),
    ],
)
def test_the_published_judge_on_a_cpu(monkeypatch, harness, device_, free, state, words):
    monkeypatch.setattr(device, "free_memory", lambda: free)
    line = one(job(harness, benchmarks=(MMIE,), MMJUDGE_DEVICE=device_), [], None)
    assert (line.state, words in line.found) == (state, True), line
    assert line.mend


def test_a_small_judge_on_a_cpu(monkeypatch):
    monkeypatch.setattr(device, "free_memory", lambda: GB)
    assert one(job(), [], None, Need(10**6, 10)).state == "ok"
    # 4 MB of weights and 16,384 tokens of 400,000 bytes
    assert one(job(), [], None, Need(10**6, 100_000)).state == "warning"


def test_memory_of_this_machine():
    free = device.free_memory()
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
