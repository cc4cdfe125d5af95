"""Versions, extras and torch's build, from metadata that the test writes; nothing of it is imported."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys

import pytest
from folders import ROOT
from machines import MMIE, MMVU, distribution, job

from judge.core.version import __version__
from judge.preflight import packages
from judge.preflight.finding import Finding
from judge.preflight.packages import PACKAGES, build_of, check_packages, check_torch, extras, local_part

REQUIRES = (
    "numpy>=1.26",
    "torch>=2.6; extra == 'hf'",
    "transformers<6,>=5.17; extra == 'hf'",
    "mmjudge[hf]; extra == 'lmms-eval'",
    "lmms-eval>=0.7.3; extra == 'lmms-eval'",
    "mmjudge[hf]; extra == 'vlmeval'",
    "ms-vlmeval>=0.0.20; extra == 'vlmeval'",
    "jinja2>=3.1; extra == 'report'",
    "tomli>=2; python_version < '3' and extra == 'report'",
    "pytest; extra == 'dev'",
)
EXTRAS = ("hf", "lmms-eval", "vlmeval", "report", "dev")
ALL = {"torch": "2.15.0", "transformers": "5.23.0", "lmms_eval": "0.7.3", "ms-vlmeval": "0.0.20", "jinja2": "3.1.2"}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make these distributions, and no others, the installed ones."""

    def install(found, version=__version__):
        for number in range(100):
            if not (folder := tmp_path / str(number)).exists():
                break
        folder.mkdir()
        if version is not None:
            distribution(folder, "mmjudge", version, *REQUIRES, extras=EXTRAS)
        for name, of in found.items():
            distribution(folder, name, of)
        monkeypatch.setattr(sys, "path", [str(folder)])
        monkeypatch.setattr(packages, "build_of", lambda package: None)
        importlib.invalidate_caches()

    # what its functions import while sys.path is short
    importlib.import_module("packaging.requirements")
    return install


def test_all_is_here(install):
    install(ALL)
    assert list(check_packages(job())) == [
        Finding(PACKAGES, "ok", "lmms-eval 0.7.3, the version that was tested"),
        Finding(PACKAGES, "ok", "VLMEvalKit 0.0.20, the version that was tested"),
        Finding(PACKAGES, "ok", "extras here: hf, lmms-eval, vlmeval, report"),
    ]


def without(*names):
    return {name: version for name, version in ALL.items() if name not in names}


def test_what_the_run_does_not_need_is_no_failure(install):
    install(without("ms-vlmeval", "jinja2"))
    found = list(check_packages(job()))
    assert {line.state for line in found} == {"ok"}
    assert found[1].mend == "pip install 'mmjudge[vlmeval]'"
    assert found[-1].found == "extras not here, and not needed for this run: vlmeval (ms-vlmeval); report (jinja2)"
    assert found[-1].mend == "pip install 'mmjudge[vlmeval,report]'"


@pytest.mark.parametrize(
    ("harness", "lacking", "said", "mend"),
    [
        ("lmms-eval", "lmms_eval", "not installed: lmms-eval", "pip install 'mmjudge[lmms-eval]'"),
        ("lmms-eval", "torch", "not installed: torch", "pip install 'mmjudge[lmms-eval]'"),
        ("vlmeval", "ms-vlmeval", "not installed: ms-vlmeval", "pip install 'mmjudge[vlmeval]'"),
        ("none", "torch", "not installed: torch", "pip install 'mmjudge[hf]'"),
    ],
)
def test_what_the_run_needs(install, harness, lacking, said, mend):
    install(without(lacking))
    assert Finding(PACKAGES, "fails", said, mend) in list(check_packages(job(harness, benchmarks=(MMIE,))))


def test_what_most_extras_share_is_said_once(install):
    install({})
    found = list(check_packages(job("none", benchmarks=(MMVU,))))
    assert found[-1].found == (
        "extras not here, and not needed for this run: hf (torch, transformers); lmms-eval (lmms-eval); "
        "vlmeval (ms-vlmeval); report (jinja2)"
    )


def test_a_served_judge_needs_no_torch(install):
    install({})
    served = job("none", benchmarks=(MMIE,), MMJUDGE_JUDGE="http://127.0.0.1:9/v1")
    assert {line.state for line in check_packages(served)} == {"ok"}


def test_a_version_that_does_not_fit(install):
    install({**ALL, "transformers": "4.57.1"})
    (line,) = [line for line in check_packages(job()) if line.state == "fails"]
    assert line.found.startswith("transformers 4.57.1 does not fit: mmjudge[lmms-eval] needs transformers")
    assert line.mend in ("pip install 'transformers<6,>=5.17'", "pip install 'transformers>=5.17,<6'")


def test_a_version_that_nobody_has_tested(install):
    install({**ALL, "lmms_eval": "0.9.0"})
    (line,) = [line for line in check_packages(job()) if line.state == "warning"]
    assert line.found == "lmms-eval 0.9.0; tested was 0.7.3"
    assert "mmjudge doctor --deep" in line.mend


def test_mmjudge_itself(install):
    install(ALL, version=None)
    assert next(check_packages(job())) == Finding(
        PACKAGES, "fails", "mmjudge is not installed: no harness can find it", "pip install mmjudge"
    )
    install(ALL, version="0.0.1")
    assert next(check_packages(job())).state == "warning"


def test_the_tested_versions_are_those_of_the_constraints():
    listed = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert packages.TESTED["lmms-eval"][-1] == listed.get("lmms-eval", listed.get("lmms_eval"))
    assert packages.TESTED["vlmeval"][-1] == listed["ms-vlmeval"]


def test_the_extras_are_those_of_this_package():
    names = {extra.name for extra in extras()}
    assert {"hf", "lmms-eval", "vlmeval"} <= names
    assert "dev" not in names


# torch ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("torch", "vision", "state"),
    [
        ("2.15.0+cu132", "0.29.2+cu132", "ok"),
        ("2.15.0+cu132", "0.29.2+cu130", "ok"),  # torchvision compares the major version
        ("2.15.0+cpu", "0.29.2+cpu", "ok"),
        ("2.15.0", "0.29.2", "ok"),  # as on macOS
        ("2.15.0+cpu", "0.29.2+cu132", "fails"),
        ("2.15.0+cu132", "0.29.2+cpu", "fails"),
        ("2.15.0+cu128", "0.29.2+cu132", "fails"),
        ("2.15.0+rocm6.2", "0.29.2+cu132", "fails"),
    ],
)
def test_torch_and_torchvision_of_one_build(monkeypatch, torch, vision, state):
    monkeypatch.setattr(packages, "build_of", {"torch": torch, "torchvision": vision}.get)
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda name: ["numpy", "torch>=2.14.0", "scipy; extra == 'scipy'"]
    )
    (line,) = check_torch()
    assert (line.state, line.found.startswith(f"torch {torch} beside torchvision {vision}")) == (state, True)
    if state == "fails":
        assert line.mend == "pip install --force-reinstall torch torchvision, both from one index"
        assert "torchvision::nms does not exist" in line.found


def test_a_torchvision_for_another_torch(monkeypatch):
    monkeypatch.setattr(packages, "build_of", {"torch": "2.15.0+cu132", "torchvision": "0.28.0+cu132"}.get)
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["torch (==2.13.0)"])
    (line,) = check_torch()
    assert (line.state, line.mend) == ("fails", "pip install --force-reinstall torch torchvision")
    assert line.found.endswith("which is made for torch ==2.13.0")


def test_a_build_that_does_not_say_is_no_line(monkeypatch):
    monkeypatch.setattr(packages, "build_of", {"torch": "2.15.0"}.get)
    assert list(check_torch()) == []


def test_a_build_is_read_and_not_imported(tmp_path, monkeypatch):
    folder = tmp_path / "torch_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "version.py").write_text(
        "from typing import Optional\n\n__version__ = '2.15.0+cpu'\ncuda: Optional[str] = None\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert build_of("torch_of_a_test") == "2.15.0+cpu"
    assert local_part("2.15.0+cpu") == "cpu"
    assert local_part("2.15.0") is local_part(None) is None
    (folder / "version.py").write_bytes(b"\xff\xfe")
    assert build_of("torch_of_a_test") is None
    (folder / "version.py").unlink()
    assert build_of("torch_of_a_test") is None
    assert build_of("no_such_package_at_all") is None


def test_the_builds_of_this_machine():
    torch = pytest.importorskip("torch", reason="the hf extra is not installed")
    assert build_of("torch") == torch.__version__
