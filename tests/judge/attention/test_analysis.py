"""A run that stops goes on; lines of another run are never mixed in."""

from __future__ import annotations

import json

import pytest
import tiny_families

from judge.attention import analysis
from judge.attention.analysis import FILE, Run, describe_run, measure_questions, read_measured
from judge.attention.choices import choices_of
from judge.core.benchmark import find
from judge.errors import UserError
from judge.io.locks import HeldElsewhere
from mmvu_tasks.demo import demo_dir

RUN = Run({"model": "tiny@1", "dtype": "float32"})


@pytest.fixture(scope="module")
def choices():
    return choices_of(find("mmvu"), demo_dir())


@pytest.fixture
def load():
    """Gives the tiny model, and counts how often it did."""

    def give():
        give.times += 1
        return tiny_families.build_family("internvl")

    give.times = 0
    return give


def test_choices_are_the_published_questions(choices):
    assert len(choices.questions) == 48
    first = choices.questions[0]
    assert (first.kind, first.right) == ("NEG", "B")
    assert first.question.pictures[0].path.is_file()
    assert choices.asked.startswith("direct@")


def test_a_benchmark_without_letters_is_one_error():
    with pytest.raises(UserError, match="the questions of mmie have no letters"):
        choices_of(find("mmie"), None)


def test_what_is_there_is_not_asked_again(choices, load, tmp_path):
    questions = choices.questions[:4]
    whole = measure_questions(questions, RUN, tmp_path / "whole", load)
    assert [found.index for found in whole] == [0, 1, 2, 3]
    measure_questions(questions[:2], RUN, tmp_path / "part", load)
    file = tmp_path / "part" / FILE
    # what a kill leaves of a line
    file.write_bytes(file.read_bytes() + b'{"of": "')
    assert measure_questions(questions, RUN, tmp_path / "part", load) == whole
    assert file.read_bytes() == (tmp_path / "whole" / FILE).read_bytes()
    assert load.times == 3
    assert measure_questions(questions[1:], RUN, tmp_path / "part", load) == whole[1:]
    assert load.times == 3, "with all questions done no model is loaded"


def test_two_processes_do_not_measure_in_one_folder(choices, load, tmp_path):
    questions = choices.questions[:2]

    def load_beside():
        with pytest.raises(HeldElsewhere, match="another process is writing here"):
            measure_questions(questions, RUN, tmp_path, load)
        return load()

    found = measure_questions(questions, RUN, tmp_path, load_beside)
    assert load.times == 1
    assert len((tmp_path / FILE).read_text().splitlines()) == len(found) == 2


def test_what_another_process_measured_meanwhile_is_not_asked_again(choices, load, tmp_path, monkeypatch):
    questions = choices.questions[:2]
    whole = measure_questions(questions, RUN, tmp_path / "whole", load)
    file, take = tmp_path / "part" / FILE, analysis.take_lock

    def take_late(path):
        file.write_bytes((tmp_path / "whole" / FILE).read_bytes())
        return take(path)

    monkeypatch.setattr(analysis, "take_lock", take_late)
    assert measure_questions(questions, RUN, tmp_path / "part", load) == whole
    assert load.times == 1


def test_another_run_is_refused_and_changes_nothing(choices, load, tmp_path):
    measure_questions(choices.questions[:1], RUN, tmp_path, load)
    before = (tmp_path / FILE).read_bytes()
    other = Run({**RUN.parts, "dtype": "bfloat16"})
    with pytest.raises(UserError, match=r"has questions of another model, precision.*\n→ give another"):
        measure_questions(choices.questions[:2], other, tmp_path, load)
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("line", ["[1]", "{", '{"of": "KEY"}', '{"of": "KEY", "index": NaN}'])
def test_a_damaged_line_is_one_error(line, tmp_path):
    (tmp_path / FILE).write_text(line.replace("KEY", RUN.key) + "\n")
    with pytest.raises(UserError, match=r"line 1 is not a measured question"):
        read_measured(tmp_path / FILE, RUN)


def test_a_run_is_all_that_its_numbers_depend_on(choices):
    run = describe_run("mmvu", choices, "tiny@1", "float32")
    assert set(run.parts) == {"benchmark", "data", "edition", "asked", "model", "dtype", "measures"}
    assert run.key != describe_run("mmvu", choices, "tiny@2", "float32").key
    assert run.key == Run(json.loads(json.dumps(dict(run.parts)))).key
