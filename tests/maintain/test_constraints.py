"""constraints.txt against what is installed: every kind of difference, on made-up environments and on this one."""

from __future__ import annotations

import importlib.util
import re
import sys

import pytest
from folders import ROOT

pytest.importorskip("packaging", reason="packaging is not installed")
if sys.version_info < (3, 11):
    pytest.importorskip("tomli", reason="tomli is not installed")

SPEC = importlib.util.spec_from_file_location("constraints", ROOT / "maintain" / "constraints.py")
constraints = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(constraints)

HERE = constraints.RECORDED_ON
INSTALLED = {
    "app": ("1.0", ["lib[fast]>=2", 'gpu; platform_system == "Linux"', 'win; sys_platform == "win32"']),
    "lib": ("2.1", ["base", 'speed; extra == "fast"', 'never; extra == "other"']),
    "base": ("3.0.post1", ["app"]),  # a circle
    "speed": ("0.1rc1", ['term; sys_platform != "win32"']),
    "gpu": ("13.5", []),
    "term": ("4", []),
    "beside": ("9", []),  # installed by hand, needed by nobody
}
LINES = [
    "app==1.0",
    "base==3.0.post1",
    'gpu==13.5 ; sys_platform == "linux"',
    "lib==2.1",
    "speed==0.1rc1",
    'term==4 ; sys_platform != "win32"',
]


def test_all_that_is_needed_is_written_with_the_systems_that_need_it() -> None:
    assert constraints.lines(["App"], INSTALLED.get) == LINES


def test_what_is_needed_and_absent_cannot_be_recorded() -> None:
    with pytest.raises(SystemExit, match="not installed here, so not to be recorded: gone"):
        constraints.lines(["app", "gone"], INSTALLED.get)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("lib==2.1\n", "", "lib==2.1 is needed and not listed"),
        ("lib==2.1\n", "lib==2.2\n", "lib is installed as 2.1, listed as 2.2"),
        ("lib==2.1\n", "lib==2.1\nother==1\n", "other is listed and not needed"),
        ("lib==2.1\n", "lib==2.1\nlib==2.1\n", "line 6: lib is not in the order of names, or stands twice"),
        ("app==1.0\nbase==3.0.post1\n", "base==3.0.post1\napp==1.0\n", "line 3: app is not in the order"),
        ("lib==2.1\n", "lib>=2.1\n", "line 5 is not NAME==VERSION with or without a system: lib>=2.1"),
        ("lib==2.1\n", "lib @ https://example.org/lib.whl\n", "line 5 is not NAME==VERSION"),
        ("lib==2.1\n", "lib==2.1 --hash=sha256:00\n", "line 5 is not NAME==VERSION"),
        ("lib==2.1\n", "lib==2.1\n--index-url https://example.org\n", "line 6 is not NAME==VERSION"),
        (' ; sys_platform == "linux"', ' ; sys_platform == "win32"', "gpu==13.5 is needed and not listed"),
    ],
)
def test_every_difference_is_an_error(old: str, new: str, error: str) -> None:
    text = "# a note\n" + "\n".join(LINES) + "\n"
    assert constraints.differences(text, ["app"], INSTALLED.get, HERE) == ([], [])
    errors, notes = constraints.differences(text.replace(old, new), ["app"], INSTALLED.get, HERE)
    assert any(found.startswith(error) for found in errors), errors
    assert notes == []


def test_elsewhere_other_needs_are_noted_and_other_versions_are_errors() -> None:
    text = "\n".join(LINES) + "\n"
    there = {name: found for name, found in INSTALLED.items() if name not in ("gpu", "term")} | {"win": ("7", [])}
    errors, notes = constraints.differences(text, ["app"], there.get, ("win32", "3.13"))
    assert (errors, notes) == ([], ["win==7 is needed and not listed"])
    errors, _ = constraints.differences(text, ["app"], (there | {"lib": ("2.2", [])}).get, ("win32", "3.13"))
    assert "lib is installed as 2.2, listed as 2.1" in errors


def test_an_extra_that_names_others_is_resolved(tmp_path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[project]\nname = "p"\ndependencies = ["a>=1"]\n[project.optional-dependencies]\n'
        'x = ["b"]\ny = ["p[x]", "c"]\ndev = ["p[y]", "d"]\n'
    )
    assert constraints.wanted(file) == ["a>=1", "b", "c", "d"]


def test_the_file_has_names_versions_and_systems_only() -> None:
    listed, errors = constraints.read_listed(constraints.FILE.read_text(encoding="utf-8"), "linux")
    assert errors == []
    named = {re.split(r"[^A-Za-z0-9._-]", text)[0].lower().replace("_", "-") for text in constraints.wanted()}
    assert named - set(listed) == {"tomli"}  # for Python 3.10 alone
    assert len(listed) > 200


def test_the_command_writes_the_file_and_checks_it(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(constraints, "FILE", tmp_path / "constraints.txt")
    monkeypatch.setattr(constraints, "RECORDED_ON", (sys.platform, f"{sys.version_info[0]}.{sys.version_info[1]}"))
    monkeypatch.setattr(constraints, "wanted", lambda: ["lib"])
    monkeypatch.setattr(constraints, "installed", {"lib": ("2.1", [])}.get)
    assert constraints.main(["--write"]) == 0
    assert constraints.FILE.read_text() == constraints.HEADER + "lib==2.1\n"
    assert constraints.main([]) == 0
    monkeypatch.setattr(constraints, "installed", {"lib": ("2.2", [])}.get)
    assert constraints.main([]) == 1
    assert "constraints.txt: lib is installed as 2.2, listed as 2.1" in capsys.readouterr().err
