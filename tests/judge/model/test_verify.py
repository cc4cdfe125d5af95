"""`mmjudge verify`: the 13 recorded cases agree, and a recording that is off by little is found out."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from judge.cli import main
from judge.errors import UserError
from judge.model import verify

CASES = 13


@pytest.fixture(scope="module")
def results(recorded, golden_folder):
    golden = verify.read_golden(golden_folder)
    return list(verify.verify_cases(recorded.model, recorded.tokenizer, recorded.layout, golden))


@pytest.fixture
def copy(golden_folder, tmp_path):
    """A golden folder that may be spoiled."""
    return shutil.copytree(golden_folder, tmp_path / "golden")


def spoil_case(folder, name, **changes):
    content = json.loads((folder / "cases.json").read_text())
    next(case for case in content["cases"] if case["name"] == name).update(changes)
    (folder / "cases.json").write_text(json.dumps(content))


def test_every_case_agrees_alone_and_in_one_batch(results):
    assert [str(result) for result in results if not result.passed] == []
    assert [result.mode for result in results] == ["single"] * CASES + ["batch"] * CASES
    names = [result.name for result in results]
    assert names[:CASES] == names[CASES:]
    assert len(set(names)) == CASES


def test_differences_are_measured_not_assumed(results):
    # float32 against a recording from another build: never exactly equal, always within the bounds
    assert all(0 < result.logits <= verify.LOGIT_TOLERANCE for result in results)
    with_pictures = [result for result in results if result.vision is not None]
    assert len(with_pictures) == 2 * 10
    assert all(0 < result.vision <= verify.VISION_TOLERANCE for result in with_pictures)


def test_the_command(copy, capsys):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    assert main(["verify", str(copy / "tiny-internvl2"), "--golden", str(copy)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * CASES + 1
    assert lines[-1] == "13/13 cases one by one, 13/13 in one batch (float32, cpu)"


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"new_ids": [489, 323, 424, 516, 567]}, "greedy ids: 5 tokens, recorded 5; first difference at 3"),
        ({"stopped": False}, "stop: stopped is True, recorded False"),
        ({"response": "klloestiy"}, "response: 'klloestiY', recorded 'klloestiy'"),
        ({"input_ids": [1]}, "prompt ids: 64 tokens, recorded 1; first difference at 1"),
    ],
)
def test_one_spoiled_case_fails_the_command(copy, capsys, changes, check):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    spoil_case(copy, "text_short", **changes)
    assert main(["verify", str(copy / "tiny-internvl2"), "--golden", str(copy)]) == 1
    out = capsys.readouterr().out
    assert f"     {check}" in out.splitlines()
    assert "12/13 cases one by one, 12/13 in one batch" in out


@pytest.mark.parametrize(
    ("array", "shift", "check"),
    [
        ("one_square__vision_features", 3e-5, "vision features"),
        ("one_square__prefill_logits_last", 1e-4, "prefill logits"),
        ("one_square__step_top_logit", 1e-4, "step logits"),
    ],
)
def test_a_shift_beyond_the_bound_is_found(recorded, golden_folder, array, shift, check):
    golden = verify.read_golden(golden_folder)
    changed = golden.arrays[array].copy()
    changed.flat[-1] += np.float32(shift)
    golden.arrays[array] = changed
    found = verify.verify_cases(recorded.model, recorded.tokenizer, recorded.layout, golden)
    failed = {(result.name, result.mode): list(result.differences) for result in found if not result.passed}
    assert failed == {("one_square", "single"): [check], ("one_square", "batch"): [check]}


def test_another_judge_fails(second, golden_folder):
    golden = verify.read_golden(golden_folder)
    assert not any(
        result.passed for result in verify.verify_cases(second.model, second.tokenizer, second.layout, golden)
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "cases.json").unlink(), "cases.json: is missing"),
        (lambda folder: (folder / "cases.json").write_text("{"), "cases.json: cannot be read as JSON"),
        (lambda folder: (folder / "cases.json").write_text("{}"), 'cases.json: field "meta": is missing'),
        (lambda folder: (folder / "arrays.npz").write_bytes(b"PK"), "arrays.npz: cannot be read"),
    ],
)
def test_a_broken_recording_is_named(copy, spoil, message):
    spoil(copy)
    with pytest.raises(UserError) as error:
        verify.read_golden(copy)
    assert message in str(error.value)
    assert "give --golden a folder" in str(error.value)
    assert "judge folder" not in str(error.value)


def test_a_picture_that_is_not_there_is_named(copy, recorded):
    (copy / "images" / "square_rgb.png").unlink()
    with pytest.raises(UserError, match=r"record one_square.*square_rgb\.png"):
        list(verify.verify_cases(recorded.model, recorded.tokenizer, recorded.layout, verify.read_golden(copy)))
