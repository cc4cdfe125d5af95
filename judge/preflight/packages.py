"""What is installed, from metadata and version files alone: nothing is imported.

    ok       lmms-eval 0.7.3, the version that was tested
    fails    transformers 4.57.1 does not fit: mmjudge[hf] needs >=5.17,<6
             → pip install 'transformers<6,>=5.17'
    fails    torch 2.15.0+cpu beside torchvision 0.29.2+cu132: of two builds
             → pip install --force-reinstall torch torchvision, both from one index

An extra is here when every requirement that it adds is.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from judge.core.version import __version__
from judge.preflight.finding import Finding, Findings
from judge.preflight.job import Job

PACKAGES = "packages"
BASE = "hf"
"""The extra that most others include: the judge on transformers."""
TESTED = {"lmms-eval": ("0.7.3",), "vlmeval": ("0.0.20",)}
"""Harness → versions that the suite has passed with."""
HARNESS_PACKAGES = {"lmms-eval": ("lmms_eval",), "vlmeval": ("ms-vlmeval", "vlmeval")}
"""Harness → names that its distribution has had."""
TITLES = {"lmms-eval": "lmms-eval", "vlmeval": "VLMEvalKit"}
_BUILD = re.compile(r"^(?:__version__|version)\b.*?['\"]([^'\"]+)['\"]", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Extra:
    """lacking: requirements, as pip takes them, that nothing here meets."""

    name: str
    lacking: tuple[str, ...]


def installed_version(*names: str) -> str | None:
    """The version of the first of these distributions that is installed."""
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def build_of(package: str) -> str | None:
    """The version that a package's own `version.py` gives, such as "2.15.0+cpu", which its metadata may shorten; None
    where it is not installed or has no such file."""
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if found is None or not found.origin:
        return None
    try:
        text = Path(found.origin).with_name("version.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    said = _BUILD.search(text)
    return said[1] if said else None


def local_part(version: str | None) -> str | None:
    """What stands behind the "+" of a version: "cpu", "cu132"; None for nothing."""
    return (version or "").partition("+")[2] or None


def extras() -> list[Extra]:
    """The extras of the installed mmjudge, without "dev". Raises PackageNotFoundError where it is not installed."""
    metadata = importlib.metadata.metadata("mmjudge")
    names = [name for name in metadata.get_all("Provides-Extra") or [] if name != "dev"]
    return [Extra(name, tuple(_lacking(name, frozenset()))) for name in names]


def _lacking(extra: str, seen: frozenset[str]) -> Iterator[str]:
    from packaging.requirements import Requirement

    for text in importlib.metadata.requires("mmjudge") or []:
        wanted = Requirement(text)
        if (
            wanted.marker is None
            or not wanted.marker.evaluate({"extra": extra})
            or wanted.marker.evaluate({"extra": ""})
        ):
            continue
        if wanted.name == "mmjudge":  # an extra that another one includes
            for other in wanted.extras - seen - {extra}:
                yield from _lacking(other, seen | {extra})
            continue
        version = installed_version(wanted.name)
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            yield f"{wanted.name}{wanted.specifier}"


def check_packages(job: Job) -> Findings:
    """Lines about mmjudge, its extras, both harnesses, and torch."""
    try:
        known = {extra.name: extra for extra in extras()}
    except importlib.metadata.PackageNotFoundError:
        yield Finding(PACKAGES, "fails", "mmjudge is not installed: no harness can find it", "pip install mmjudge")
        known = {}
    yield from _own_version()
    needed = _needed(job)
    yield from _harnesses(job)
    for name in needed:
        if name in known and known[name].lacking:
            yield from _lacking_lines(known[name])
    here = [name for name in known if not known[name].lacking]
    if here:
        yield Finding(PACKAGES, "ok", f"extras here: {', '.join(here)}")
    yield from _not_needed(
        {name: extra.lacking for name, extra in known.items() if extra.lacking and name not in needed}
    )
    yield from check_torch()


def _not_needed(missing: Mapping[str, Sequence[str]]) -> Findings:
    """A line about extras that are not here, with what each lacks beside what "hf" does, which most include."""
    if not missing:
        return
    shared = set(missing.get(BASE, ()))
    own = {
        name: lacking if name == BASE else [one for one in lacking if one not in shared]
        for name, lacking in missing.items()
    }
    said = "; ".join(f"{name} ({', '.join(_names(lacking))})" if lacking else name for name, lacking in own.items())
    mend = f"pip install 'mmjudge[{','.join(missing)}]'"
    yield Finding(PACKAGES, "ok", f"extras not here, and not needed for this run: {said}", mend)


def _own_version() -> Findings:
    recorded = installed_version("mmjudge")
    if recorded not in (None, __version__):
        yield Finding(
            PACKAGES, "warning", f"pip has recorded mmjudge {recorded}, and this is {__version__}: two copies, or a "
            "checkout that was installed before it changed", "pip install --force-reinstall --no-deps mmjudge",
        )  # fmt: skip


def _needed(job: Job) -> list[str]:
    """The extras that the run needs, the widest first."""
    if job.harness != "none":
        return [job.harness]
    return ["hf"] if job.judges_here else []


def _lacking_lines(extra: Extra) -> Findings:
    absent = [wanted for wanted in extra.lacking if installed_version(*_names([wanted])) is None]
    if absent:
        said = f"not installed: {', '.join(_names(absent))}"
        yield Finding(PACKAGES, "fails", said, f"pip install 'mmjudge[{extra.name}]'")
    for wanted in (wanted for wanted in extra.lacking if wanted not in absent):
        (name,) = _names([wanted])
        said = f"{name} {installed_version(name)} does not fit: mmjudge[{extra.name}] needs {wanted}"
        yield Finding(PACKAGES, "fails", said, f"pip install '{wanted}'")


def _names(requirements: Sequence[str]) -> list[str]:
    return [re.split(r"[^\w.-]", wanted, maxsplit=1)[0] for wanted in requirements]


def _harnesses(job: Job) -> Findings:
    for harness, names in HARNESS_PACKAGES.items():
        version = installed_version(*names)
        tested = TESTED[harness]
        if version is None:
            # where the run needs it, its extra is lacking
            if job.harness != harness:
                said = f"{TITLES[harness]} is not installed, and not needed for this run"
                yield Finding(PACKAGES, "ok", said, f"pip install 'mmjudge[{harness}]'")
        elif version in tested:
            yield Finding(PACKAGES, "ok", f"{TITLES[harness]} {version}, the version that was tested")
        else:
            said = f"{TITLES[harness]} {version}; tested was {' and '.join(tested)}"
            mend = f"mmjudge doctor --deep, to see whether its tasks are ours; or pip install {names[0]}=={tested[-1]}"
            yield Finding(PACKAGES, "warning", said, mend)


def check_torch() -> Findings:
    """Lines about torch and torchvision: whether they are of one release and one build."""
    torch, vision = build_of("torch"), build_of("torchvision")
    if torch is None or vision is None:
        return  # a requirement that is lacking, or a build that does not say
    pair, mend = f"torch {torch} beside torchvision {vision}", "pip install --force-reinstall torch torchvision"
    builds = local_part(torch), local_part(vision)
    if (wanted := _torch_wanted()) is not None and not _meets(torch, wanted):
        yield Finding(PACKAGES, "fails", f"{pair}, which is made for torch {wanted}", mend)
    elif None not in builds and _kind(builds[0]) != _kind(builds[1]):
        why = 'of two builds ("operator torchvision::nms does not exist")'
        yield Finding(PACKAGES, "fails", f"{pair}: {why}", f"{mend}, both from one index")
    else:
        yield Finding(PACKAGES, "ok", pair)


def _torch_wanted() -> str | None:
    """The versions of torch that the installed torchvision is made for, such as "==2.15.0"."""
    from packaging.requirements import Requirement

    for text in importlib.metadata.requires("torchvision") or []:
        wanted = Requirement(text)
        if wanted.name == "torch" and wanted.marker is None:
            return str(wanted.specifier) or None
    return None


def _meets(version: str, wanted: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(wanted).contains(version, prereleases=True)


def _kind(build: str | None) -> str:
    """What must be the same: "cpu", or CUDA with its major version."""
    found = re.match(r"cu(\d+)\d$", build or "")
    return f"cuda {found[1]}" if found else str(build)
