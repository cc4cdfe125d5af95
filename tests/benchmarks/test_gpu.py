"""The run of all figures about a GPU: every part in small on a CPU, parts that fail, the table. No time is asserted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import folders
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

GOLDEN = folders.ROOT / "tests" / "golden"
PARTS = ["environment", "verify", "kernel", "real_shape", "bfloat16", "finetune", "speed"]


@pytest.fixture(scope="module")
def gpu(script):
    return script("gpu")


@pytest.fixture
def bench(gpu, tmp_path):
    return gpu.Bench("cpu", "tiny", GOLDEN, tmp_path, time.monotonic() + 600)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The command on a CPU, in a process that has computed nothing before it forks."""
    folder = tmp_path_factory.mktemp("gpu")
    (folder / "work").mkdir()
    command = [sys.executable, str(folders.ROOT / "benchmarks" / "gpu.py"), "--device", "cpu", "--shape", "tiny"]
    options = ["--golden", str(GOLDEN), "--out", str(folder / "out.json"), "--folder", str(folder / "work")]
    path = os.pathsep.join([str(folders.ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def found(ran):
    parts = json.loads((ran[0] / "out.json").read_text())["parts"]
    return {name: part["found"] for name, part in parts.items()}


def test_every_part_runs_in_small(ran):
    folder, printed = ran
    written = json.loads((folder / "out.json").read_text())
    assert json.loads(printed.splitlines()[-1]) == written
    assert printed.startswith((folder / "out.md").read_text())
    assert "| TINY: says that it runs, and nothing else" in printed
    assert {name: (part["status"], part["reason"]) for name, part in written["parts"].items()} == {
        **dict.fromkeys(PARTS, ("measured", None)),
        "kernel": ("not measured", "no CUDA"),
    }
    assert list(written["parts"]) == PARTS
    assert "| part kernel: not measured | no CUDA | | |" in printed
    # what the tiny shape reaches is no news about a target
    assert "| engine / reference loop |" in printed
    assert "| at least 8 | not measured |" in printed
    assert list((folder / "work").iterdir()) == []


def test_recorded_cases_agree(found):
    assert found["verify"]["cases"] == found["verify"]["passed"] == 26  # 13 alone, 13 in one batch
    assert 0 < found["verify"]["logits"] <= 5e-5


def test_a_judge_is_loaded_and_answers(found):
    loaded = found["real_shape"]
    tokens, limit = loaded["prompt_tokens"], 256
    assert loaded["tiles"][:3] == [0, 0, 1]
    assert max(loaded["tiles"]) > 36
    assert tokens[1] < limit < tokens[1] + loaded["new_tokens"]  # crosses while it is answered
    assert min(tokens) < limit / 2
    assert max(tokens) > limit
    assert loaded["stored_gb"] == 2 * loaded["parameters"] / 1e9
    assert loaded["answer_s"] == pytest.approx(loaded["batch_s"] / 8)
    assert min(loaded[name] for name in ("load_s", "load_peak_gb", "batch_peak_gb")) > 0


def test_both_number_types_are_compared(found):
    shares = found["bfloat16"]["random"]
    # 8 prompts, each with the token after it and after 32 given ones
    assert (shares["tokens"]["n"], shares["scores"]["n"]) == (8 * 33, 8)
    assert 90 < shares["tokens"]["value"] <= 100
    assert found["bfloat16"]["demo"]["float32 → bfloat16"]["n"] == 2


def test_a_step_is_taken(found):
    step = found["finetune"]
    assert step["step_s"] > 0
    assert step["tiles"] == 3
    # 2 layers, rank 16: an adapted matrix of a x b has 16 · (a + b). Hidden size 128, inner 352: 128 x 384, 128 x 128,
    # 128 x 704 and 352 x 128
    assert step["trained"] == 2 * 16 * (512 + 256 + 832 + 480) == 66_560
    # random weights: about as sure of the right token as of any other, ln(1,044) = 6.95
    assert step["loss"] == pytest.approx(6.95, abs=0.5)


def test_speed_is_that_of_the_same_work(found):
    speed = found["speed"]
    work = speed["samples"]
    assert len(work) == 16
    assert min(sample["tiles"] for sample in work) == 0
    assert max(sample["tiles"] for sample in work) > 36
    limit = 256
    assert any(sample["tokens"] <= limit < sample["tokens"] + sample["new"] for sample in work)  # crosses
    assert any(sample["tokens"] > limit for sample in work)
    for name in ("reference", "static", "batched", "engine"):
        assert speed[name]["samples"] == 16
        assert speed[name]["samples_per_s"] == pytest.approx(16 / speed[name]["seconds"])
        assert 0 < speed[name]["of_serial_roofline"] < 1
    engine = speed["engine"]
    # the first token comes with the prompt; every other one from a step
    assert engine["counters"]["decode_sequences"] == sum(sample["new"] - 1 for sample in work)
    assert engine["counters"]["prefix_reused"] == 0  # pixels differ, and prefixes are off
    rates = sorted(engine["of_runs"])
    assert (len(rates), engine["samples_per_s"]) == (3, rates[1])
    gate = speed["gate"]
    assert max(gate["engine_alone"], gate["engine_together"]) <= gate["allowed"] < gate["largest_logit"] / 1000


def run(gpu, monkeypatch, out, parts, *options):
    """The command with other parts: exit code, and what it wrote."""
    monkeypatch.setattr(gpu, "PARTS", parts)
    code = gpu.main(["--device", "cpu", "--shape", "tiny", "--out", str(out), *options])
    return code, json.loads(out.read_text())["parts"]


def test_a_part_that_does_not_end_well_says_why_and_the_others_go_on(gpu, monkeypatch, tmp_path, capsys):
    def fails(bench):
        yield {"load_s": 2.5, "stored_gb": float("inf"), "parameters": 7}
        raise RuntimeError("no such\nkernel | here")

    def hangs(bench):
        yield {"step_s": 1.0, "tokens": 9, "tiles": 3}
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        signal.setitimer(signal.ITIMER_REAL, 0.01 if 0 < left <= 60 else 0)  # where it has a limit, that is near
        time.sleep(100)

    def dies(bench):
        yield {"seen": 1}
        os._exit(9)

    out = tmp_path / "out.json"
    parts = {"real_shape": (fails, 60), "finetune": (hangs, 60), "speed": (dies, 60), "kernel": (good, 60)}
    code, found = run(gpu, monkeypatch, out, parts)
    assert code == 1
    assert {name: (part["status"], part["reason"]) for name, part in found.items()} == {
        "real_shape": ("failed", "RuntimeError: no such kernel | here"),
        "finetune": ("out of time", "ended after 60 s"),
        "speed": ("failed", "its process ended with 9"),
        "kernel": ("measured", None),
    }
    # what was found before is kept
    assert found["real_shape"]["found"] == {"load_s": 2.5, "stored_gb": None, "parameters": 7}
    assert found["speed"]["found"] == {"seen": 1}
    printed = capsys.readouterr().out
    assert "| one fine-tuning step (LoRA) | 1.00 s for 9 tokens, 3 tiles |" in printed
    assert "| peak memory of that step | out of time | at most 80 GB | not measured |" in printed
    assert "| part real_shape: failed | RuntimeError: no such kernel \\| here | | |" in printed


def good(bench):
    yield {"seen": 1}


def test_what_is_found_is_written_at_once(gpu, monkeypatch, tmp_path):
    out = tmp_path / "out.json"

    def waits(bench):
        yield {"one": 1}
        for _ in range(300):
            parts = json.loads(out.read_text())["parts"]
            if parts.get("speed", {}).get("found") == {"one": 1}:
                yield {"status": parts["speed"]["status"], "before": parts["kernel"]["found"]}
                return
            time.sleep(0.1)

    code, found = run(gpu, monkeypatch, out, {"kernel": (good, 60), "speed": (waits, 60)})
    assert (code, found["speed"]["status"]) == (0, "measured")
    assert found["speed"]["found"] == {"one": 1, "status": "running", "before": {"seen": 1}}


def test_nothing_starts_when_the_time_of_the_run_is_over(gpu, monkeypatch, tmp_path):
    code, found = run(gpu, monkeypatch, tmp_path / "out.json", {"kernel": (good, 60)}, "--minutes", "0")
    assert code == 1
    assert found["kernel"]["status"] == "out of time"
    assert found["kernel"]["reason"] == "the 0 minutes of the run were over"


def test_a_wrong_logit_ends_the_part(script, bench, monkeypatch):
    speed = script("gpu_speed")
    read = speed.plain_loops.packed.prefill
    monkeypatch.setattr(speed.plain_loops.packed, "prefill", lambda *given: read(*given) * 1.01)
    seen = []
    with pytest.raises(RuntimeError, match="logits are not the reference's"):
        seen.extend(list(found) for found in speed.measure_speed(bench))
    assert seen == [["samples"], ["ceilings"]]


def test_a_loop_that_fails_is_named_after_the_others_have_run(script, bench, monkeypatch):
    speed = script("gpu_speed")

    def fails(*given):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(speed, "RUNS", 1)
    monkeypatch.setattr(speed.plain_loops, "batched", fails)
    seen = []
    with pytest.raises(RuntimeError, match="batched: RuntimeError: no compiler"):
        seen.extend(name for found in speed.measure_speed(bench) for name in found)
    assert seen == ["samples", "ceilings", "gate", "engine", "reference", "static"]


def test_a_case_that_differs_fails_the_part(gpu, bench, monkeypatch):
    from judge.model import verify

    monkeypatch.setattr(verify, "LOGIT_TOLERANCE", 0.0)
    seen = []
    with pytest.raises(RuntimeError, match="26 of 26 cases differ, first: FAIL"):
        seen.extend(gpu.gpu_parts.verify_recorded(bench))
    assert (seen[-1]["passed"], seen[-1]["cases"]) == (0, 26)


@pytest.mark.parametrize("off", [0.0, 1e-3, float("nan")])
def test_the_kernel_is_held_against_the_plain_path(gpu, bench, monkeypatch, off):
    from judge.model import attention

    def launch(q, keys, values, starts, lengths, longest):
        assert (len(q), longest) == (32, max(lengths)) == (32, 512)
        return attention.decode_attention(q, keys, values, starts.tolist(), lengths.tolist()) + off

    monkeypatch.setitem(sys.modules, "judge.model.decode_kernel", SimpleNamespace(launch_decode_attention=launch))
    monkeypatch.setattr(gpu.Bench, "on_gpu", True)
    monkeypatch.setattr(gpu.Bench, "sync", lambda bench: None)
    seen = {}

    def measure():
        for found in gpu.gpu_parts.measure_kernel(bench):
            seen.update(found)

    if off:  # 1e-3 is more than float32 may be off (1e-4), and less than bfloat16 may be (2e-2)
        both = "" if off == 1e-3 else ", bfloat16"
        with pytest.raises(ArithmeticError, match=f"too much in float32{both}$"):
            measure()
    else:
        measure()
        assert seen["float32"]["largest_difference"] == seen["bfloat16"]["largest_difference"] == 0
    assert list(seen) == ["float32", "bfloat16"]
    assert seen["bfloat16"]["ratio"] == seen["bfloat16"]["plain_ms"] / seen["bfloat16"]["kernel_ms"]


def test_without_a_recording_nothing_is_verified(gpu, tmp_path):
    bench = gpu.Bench("cpu", "tiny", tmp_path / "nowhere", tmp_path, 0.0)
    with pytest.raises(gpu.NotMeasuredError, match="nowhere"):
        next(gpu.gpu_parts.verify_recorded(bench))


def test_too_little_disk_is_said_before_anything_is_written(gpu, bench, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(gpu.gpu_parts.shutil, "disk_usage", lambda _: usage(1, 1, 0))
    with pytest.raises(gpu.gpu_parts.UserError, match=r"of disk, and 0\.0 GB are free"):
        next(gpu.gpu_parts.load_and_answer(bench))
    assert list(Path(bench.folder).rglob("*.safetensors")) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_without_a_gpu_it_says_so_in_one_line(gpu, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert gpu.main(["--out", str(out)]) == 2
    assert capsys.readouterr().err == "gpu: no CUDA device here; --device cpu --shape tiny runs every part in small\n"
    assert not out.exists()


def test_the_real_shape_is_not_started_on_a_cpu(gpu, tmp_path, capsys):
    assert gpu.main(["--device", "cpu", "--out", str(tmp_path / "out.json")]) == 2
    assert "--shape tiny" in capsys.readouterr().err


def test_the_table_of_a_recorded_run(script):
    table = script("gpu_table").make_table
    folder = Path(__file__).parent
    assert table(json.loads((folder / "gpu_recorded.json").read_text())) + "\n" == (
        folder / "gpu_recorded.md"
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("roofline", "outcome"),
    [(0.49, "not met"), (0.5, "met, stretch not met"), (0.7, "met, stretch met")],
)
def test_targets_have_their_bounds(script, roofline, outcome):
    recorded = json.loads((Path(__file__).parent / "gpu_recorded.json").read_text())
    recorded["parts"]["speed"]["found"]["engine"]["of_serial_roofline"] = roofline
    (line,) = [line for line in script("gpu_table").make_table(recorded).splitlines() if "serial roofline" in line]
    assert line.endswith(f"| at least 50% (stretch: 70%) | {outcome} |")
