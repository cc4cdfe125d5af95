"""Settings in the environment: each bad value is a line of its own; every variable that the source reads is known."""

from __future__ import annotations

import re

import pytest
from folders import ROOT
from machines import MMIE, MMVU, job

from judge.preflight.finding import Finding
from judge.preflight.variables import KNOWN, SETTINGS, check_variables, unwritable


def test_every_variable_that_the_source_reads_is_known():
    source = [file.read_text(encoding="utf-8") for package in ("judge", "mmie_tasks", "mmvu_tasks")
              for file in (ROOT / package).rglob("*.py") if file.name != "variables.py"]  # fmt: skip
    named = set(re.findall(r"\bMMJUDGE_[A-Z_]+[A-Z]\b", "\n".join(source)))
    # what stands beside `KNOWN` is no variable: constants of a module, and a name made up for an example
    assert named - KNOWN <= {"MMJUDGE_NOT_ANSWERED", "MMJUDGE_NO_RESPONSE", "MMJUDGE_IMAGEROOT"}
    # what has its name put together: settings.py writes it into its docstring
    assert KNOWN - named == set()


def test_nothing_is_set():
    assert list(check_variables(job())) == [Finding(SETTINGS, "ok", "no MMJUDGE_ variable is set: defaults hold")]


def test_what_is_set_and_can_be_read(tmp_path):
    given = job(MMJUDGE_DTYPE="float32", MMJUDGE_IMAGE_ROOT=str(tmp_path), MMJUDGE_DEVICE="cuda:3", MMJUDGE_PARTIAL="")
    said = "MMJUDGE_DEVICE, MMJUDGE_DTYPE, MMJUDGE_IMAGE_ROOT can be read"
    assert list(check_variables(given)) == [Finding(SETTINGS, "ok", said)]


@pytest.mark.parametrize(
    ("name", "value", "words", "mend"),
    [
        ("PROFILE", "lenient", "MMJUDGE_PROFILE is 'lenient'", "unset MMJUDGE_PROFILE; or set it to one of: reference"),
        ("BATCH_SIZE", "many", "MMJUDGE_BATCH_SIZE is 'many'", "unset MMJUDGE_BATCH_SIZE"),
        ("BATCH_SIZE", "0", "MMJUDGE_BATCH_SIZE is '0'", "a whole number"),
        ("PARTIAL", "yes", "MMJUDGE_PARTIAL is 'yes'", "1 or 0"),
        ("DEVICE", "gpu", "MMJUDGE_DEVICE is 'gpu'", "cuda, cuda:1"),
        ("DEVICE", "cuda:x", "MMJUDGE_DEVICE is 'cuda:x'", "unset MMJUDGE_DEVICE"),
        ("DTYPE", "float16", "MMJUDGE_DTYPE is 'float16'", "float32 or bfloat16"),
        ("RUBRIC", "mine", "MMJUDGE_RUBRIC is 'mine'", "mmjudge or official"),
        ("UNPACK_BYTES", "200G", "MMJUDGE_UNPACK_BYTES is '200G'", "a whole number"),
        ("UNPACK_MEMBERS", "-1", "MMJUDGE_UNPACK_MEMBERS is '-1'", "unset MMJUDGE_UNPACK_MEMBERS"),
        ("JUDGE", "no/such/folder", "'no/such/folder' is no folder here", "unset MMJUDGE_JUDGE"),
        ("JUDGE", "./no-such", "'./no-such' is no folder here", "replay:FILE"),
        ("IMAGE_ROOT", "/no/such", "no folder /no/such", "unset MMJUDGE_IMAGE_ROOT"),
    ],
)
def test_a_value_that_means_nothing(name, value, words, mend):
    (line,) = check_variables(job(**{f"MMJUDGE_{name}": value}))
    assert (line.part, line.state) == (SETTINGS, "fails")
    assert words in line.found
    assert mend in line.mend


def test_every_bad_value_is_said_at_once():
    bad = {"MMJUDGE_PROFILE": "a", "MMJUDGE_PARTIAL": "b", "MMJUDGE_BATCH_SIZE": "c", "MMJUDGE_DTYPE": "d"}
    found = list(check_variables(job(**bad, RANK="9", WORLD_SIZE="2")))
    assert [line.state for line in found] == ["fails"] * 5
    assert all(any(f"{name} is" in line.found for line in found) for name in bad)
    assert any("not a rank of a job" in line.found for line in found)


def test_the_rest_of_the_settings_holds_where_one_cannot_be_read():
    given = job(MMJUDGE_PROFILE="a", MMJUDGE_PARTIAL="b", RANK="x", WORLD_SIZE="2", MMJUDGE_DTYPE="float32")
    assert (given.settings.dtype, given.settings.profile, given.settings.partial) == ("float32", "strict", False)
    assert given.settings.rank.alone


def test_a_misspelt_name():
    (line,) = check_variables(job(MMJUDGE_IMAGEROOT="/pictures"))
    mend = 'export MMJUDGE_IMAGE_ROOT="$MMJUDGE_IMAGEROOT"; unset MMJUDGE_IMAGEROOT'
    assert line == Finding(SETTINGS, "warning", "MMJUDGE_IMAGEROOT is read by nobody", mend)
    (line,) = check_variables(job(MMJUDGE_COFFEE="1"))
    assert line.mend == "unset MMJUDGE_COFFEE"


def test_pictures_of_answers_matter_to_a_judge_alone():
    assert next(check_variables(job(benchmarks=(MMIE,), MMJUDGE_IMAGE_ROOT="/no"))).state == "fails"
    assert next(check_variables(job(benchmarks=(MMVU,), MMJUDGE_IMAGE_ROOT="/no"))).state == "ok"


def test_a_journal_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    (line,) = check_variables(job(MMJUDGE_JOURNAL=str(tmp_path / "file" / "journal")))
    assert line.state == "fails"
    assert f"{tmp_path / 'file'} cannot be written to" in line.found
    (line,) = check_variables(job("none", MMJUDGE_JOURNAL=str(tmp_path / "file" / "journal")))
    assert line.state == "ok"


def test_where_something_can_be_made(tmp_path):
    assert unwritable(tmp_path / "a" / "b") is None
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    assert unwritable(tmp_path / "file") == tmp_path / "file"
    assert unwritable(tmp_path / ("x" * 300)) is not None


@pytest.mark.parametrize(
    ("harness", "command"),
    [
        ("lmms-eval", "lmms-eval --tasks mmie,mmvu"),
        ("vlmeval", "mmjudge-vlmeval --data MMIE MMVU"),
        ("none", "mmjudge score --benchmark mmie or mmvu"),
    ],
)
def test_the_command_that_is_meant(harness, command):
    assert job(harness).command == command
