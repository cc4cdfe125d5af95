"""Write constraints.txt from what is installed here, or check that it still says that.

    python maintain/constraints.py            # check: one line a difference, exit code 1 where there is any
    python maintain/constraints.py --write    # record the versions of this environment

It lists every distribution that `mmjudge[dev]` needs, directly or through others, by name and version, with a marker
where only some systems need it:

    triton==3.9.0 ; sys_platform == "linux"

Names and versions only: no address, no hash. What somebody installed beside it is not in the list. The list is made on
the system and the Python of `RECORDED_ON`; elsewhere other distributions may be needed, which are named and are no
error, while a version that differs is one everywhere.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
FILE = ROOT / "constraints.txt"
RECORDED_ON = ("linux", "3.11")
"""sys_platform and Python version of the environment that the file is written from."""

HEADER = """\
# The versions this release was tested with, by name only: all that `mmjudge[dev]` needs, directly or through others.
# `pip install -c constraints.txt ...` reproduces them, on Python 3.11 or newer: several have given up 3.10.
# Written by maintain/constraints.py.
"""

SYSTEMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    "darwin": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    "win32": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
}
MARKERS = {
    frozenset(SYSTEMS): "",
    frozenset({"linux"}): ' ; sys_platform == "linux"',
    frozenset({"linux", "darwin"}): ' ; sys_platform != "win32"',
    frozenset({"linux", "win32"}): ' ; sys_platform != "darwin"',
}
LINE = re.compile(r'([a-z0-9][a-z0-9.-]*)==([0-9][a-z0-9.]*)(?: ; sys_platform (==|!=) "(linux|darwin|win32)")?')

Installed = Callable[[str], "tuple[str, list[str]] | None"]
"""(version, requirements as text) of a distribution by its canonical name, None where it is not installed."""


def installed(name: str) -> tuple[str, list[str]] | None:
    """What is installed here. The version is the public one: a build for one kind of device has the same."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return Version(found.version).public, found.requires or []


def wanted(pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """The requirements of `mmjudge[dev]`, extras that name other extras resolved."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def of(extra: str) -> list[str]:
        found = []
        for text in extras[extra]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                found += [inner for other in sorted(requirement.extras) for inner in of(other)]
            else:
                found.append(text)
        return found

    return [*project["dependencies"], *of("dev")]


def closure(requirements: Iterable[str], get: Installed, system: dict[str, str]) -> tuple[dict[str, str], set[str]]:
    """({name: version}, names that are not installed) of all that `requirements` need on a system."""
    here: dict[str, str] = {**default_environment(), **system}  # type: ignore[dict-item]
    versions: dict[str, str] = {}
    absent: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(text, "") for text in requirements]
    while waiting:
        text, extra = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({**here, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found = get(name)
        if found is None:
            absent.add(name)
            continue
        versions[name], needs = found
        for part in {"", *requirement.extras} - {part for known, part in seen if known == name}:
            seen.add((name, part))
            waiting += [(need, part) for need in needs]
    return versions, absent


def lines(requirements: Iterable[str], get: Installed) -> list[str]:
    """The file's lines, sorted by name. Raises SystemExit where something needed is not installed."""
    requirements = list(requirements)
    needed = {name: closure(requirements, get, system)[0] for name, system in SYSTEMS.items()}
    versions, absent = closure(requirements, get, SYSTEMS[RECORDED_ON[0]])
    if absent:
        raise SystemExit(f"not installed here, so not to be recorded: {', '.join(sorted(absent))}")
    return [
        f"{name}=={version}{MARKERS[frozenset(system for system in SYSTEMS if name in needed[system])]}"
        for name, version in sorted(versions.items())
    ]


def read_listed(text: str, system: str) -> tuple[dict[str, str], list[str]]:
    """({name: version} that a file's text lists for `system`, errors about its lines)."""
    listed: dict[str, str] = {}
    errors, before = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            errors.append(f"line {number} is not NAME==VERSION with or without a system: {line}")
            continue
        name, version, sign, only = match.groups()
        if name <= before:
            errors.append(f"line {number}: {name} is not in the order of names, or stands twice")
        before = name
        if sign is None or (sign == "==") == (only == system):
            listed[name] = version
    return listed, errors


def differences(
    text: str, requirements: Iterable[str], get: Installed, here: tuple[str, str]
) -> tuple[list[str], list[str]]:
    """(errors, notes) about a file's text; a line each. here: this system and Python, as `RECORDED_ON`."""
    listed, errors = read_listed(text, here[0])
    notes: list[str] = []
    versions, absent = closure(requirements, get, SYSTEMS.get(here[0], {}))
    recorded = errors if here == RECORDED_ON else notes
    errors += [
        f"{name} is installed as {versions[name]}, listed as {listed[name]}"
        for name in sorted(versions.keys() & listed)
        if Version(versions[name]) != Version(listed[name])
    ]
    recorded += [f"{name}=={versions[name]} is needed and not listed" for name in sorted(versions.keys() - listed)]
    recorded += [f"{name} is needed and not installed" for name in sorted(absent)]
    recorded += [f"{name} is listed and not needed" for name in sorted(listed.keys() - versions.keys() - absent)]
    return errors, notes


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description="Write or check constraints.txt.")
    parser.add_argument("--write", action="store_true", help="record the versions of this environment")
    here = (sys.platform, f"{sys.version_info.major}.{sys.version_info.minor}")
    if parser.parse_args(arguments).write:
        if here != RECORDED_ON:
            parser.error(f"the file is written on {RECORDED_ON[0]} with Python {RECORDED_ON[1]}")
        FILE.write_text(HEADER + "\n".join(lines(wanted(), installed)) + "\n", encoding="utf-8")
        return 0
    errors, notes = differences(FILE.read_text(encoding="utf-8"), wanted(), installed, here)
    for note in notes:
        print(f"constraints.txt: {note} (on {' with Python '.join(here)}; no error)")
    for error in errors:
        print(f"constraints.txt: {error}", file=sys.stderr)
    if errors:
        print("to mend it: pip install -c constraints.txt -e '.[dev]', or make constraints", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
