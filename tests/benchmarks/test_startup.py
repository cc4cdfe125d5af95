"""What starting costs, counted: modules imported and files opened. Times are the benchmark's own affair."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"numpy", "PIL", "torch", "transformers", "lmms_eval", "vlmeval", "datasets", "pandas", "scipy", "yaml", "tqdm"}


@pytest.fixture(scope="module")
def startup(script):
    return script("startup")


def imported(code: str) -> set[str]:
    """Top-level names of the modules that a new Python has imported after `code`."""
    code += "\nimport json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", f"import sys\n{code}"], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_help_imports_the_command_line_and_nothing_heavy():
    found = imported(
        "sys.argv = ['mmjudge', '--help']\nfrom judge.cli import main\ntry:\n    main()\nexcept SystemExit: pass"
    )
    assert "judge" in found
    assert found & (HEAVY | {"mmie_tasks", "mmvu_tasks", "huggingface_hub", "importlib_metadata"}) == set()


def test_records_are_read_without_torch_and_without_a_harness():
    found = imported("from mmie_tasks.benchmark import BENCHMARK\nfrom mmie_tasks.demo import demo_dir\n"
                     "assert BENCHMARK.load(demo_dir()).records")  # fmt: skip
    assert found & {"torch", "transformers", "lmms_eval", "vlmeval", "datasets", "pandas"} == set()


def test_our_tasks_alone_are_indexed_from_our_files_alone(monkeypatch):
    tasks = pytest.importorskip("lmms_eval.tasks", reason="lmms-eval is not installed")
    from judge.core.benchmark import find

    folder = find("mmie").task_dir
    read = set()
    original = tasks.utils.load_yaml_config

    def counted(yaml_path=None, *given, **options):
        read.add(str(yaml_path))
        return original(yaml_path, *given, **options)

    monkeypatch.setattr(tasks.utils, "load_yaml_config", counted)
    manager = tasks.TaskManager(include_defaults=False, include_path=str(folder))
    assert {"mmie", "mmie_score", "mmie_demo"} <= set(manager.all_tasks)
    # 1,927 files lie beside lmms-eval's own tasks
    assert read == {str(path) for path in folder.glob("*.yaml")}


def test_the_made_up_data_has_the_published_fields(startup, tmp_path):
    from mmie_tasks.benchmark import BENCHMARK

    startup.make_data(tmp_path / "mmie", {"SA": 2, "MSR": 1})
    dataset = BENCHMARK.load(tmp_path / "mmie")
    assert [record.id for record in dataset.records] == ["SA-0", "SA-1", "MSR-0"]
    assert [len(record.images) for record in dataset.records] == [2, 2, 2]
    rows = json.loads((tmp_path / "mmie" / "data.json").read_text())
    assert set(rows[0]) == {"id", "catagory", "field", "conversations"}
    # the real one has 23 MB for 20,103 records
    assert len(json.dumps(rows[0])) == pytest.approx(23e6 / 20_103, rel=0.1)


def test_a_short_run_measures_all_and_prints_it(startup, tmp_path, capsys, monkeypatch):
    # a folder of tests is called lmms_eval, too
    pytest.importorskip("lmms_eval.tasks", reason="lmms-eval is not installed")
    # the whole scan takes a busy machine a minute
    monkeypatch.setattr(startup, "SCAN", startup.SCAN.replace('timed("all", TaskManager)', 'timed("all", list)')
                        .replace(").all_tasks)\ndone", "))\ndone"))  # fmt: skip
    out = tmp_path / "out.json"
    assert startup.main(["--repeats", "1", "--records", "14", "--folder", str(tmp_path), "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    # 42 pictures, six of each size: 13, 13, 10, 9, 13, 13 (3:4) and 1 tile
    assert (found["index_records"], found["index_pictures"], found["index_tiles"]) == (14, 42, 6 * 72)
    assert found["scan_ours_names"] == 7  # mmie, mmie_1k, mmie_demo, mmie_score and their three tags
    timed = ("help_s", "python_s", "first_s", "again_s", "refused_s", "torch_s", "doctor_s", "index_s", "scan_ours")
    assert min(found[name] for name in (*timed, "index_peak_mb")) > 0
    printed = capsys.readouterr().out
    assert "| `mmjudge --help` |" in printed
    assert "| `mmjudge doctor` |" in printed
    assert json.loads(printed.splitlines()[-1]) == found
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
