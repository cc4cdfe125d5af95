"""Where a judge comes from: a local folder, or a Hub repository at one revision.

    resolve_judge("MMIE/MMIE-Score@main")   ->  Source(…/snapshots/9e8d…, name="MMIE/MMIE-Score", revision="9e8d…")
    resolve_judge("out/my-judge")           ->  Source(out/my-judge, name="my-judge", revision="local-3fa2c1d0")

Only configuration, tokenizer and safetensors files are ever fetched: no code, no pickles.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from judge.errors import UserError
from judge.io.hub_access import from_cache_only
from judge.model.weights import checkpoint

DEFAULT_JUDGE = "MMIE/MMIE-Score"
"""The published one."""

DESCRIPTION = ("*.json", "tokenizer.model")
WEIGHTS = ("*.safetensors",)
MODEL = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors")
"""All of a transformers model that is no code and no pickle."""

LOCAL = "local-"
"""Begins the revision of a folder here."""

_REPOSITORY = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


@dataclasses.dataclass(frozen=True)
class Source:
    """folder: local files. revision: a Hub commit, or "local-" and a hash of the files that describe the judge."""

    folder: Path
    name: str
    revision: str

    def __str__(self) -> str:
        # a signature separates its parts by "|"
        return f"{self.name}@{self.revision}".replace("|", "_")


def resolve_judge(judge: str, *, weights: bool = True) -> Source:
    """Find or fetch a judge. weights=False fetches its description only. Raises UserError that says what to do."""
    folder = local_folder(judge)
    if folder is not None:
        return Source(folder, folder.resolve().name, f"{LOCAL}{checkpoint.description_sha256(folder)[:8]}")
    patterns = (*DESCRIPTION, *WEIGHTS) if weights else DESCRIPTION
    return fetch_repository(*split_repository(judge), patterns)


def find_model(name: str) -> Path:
    """The folder of a transformers model or an adapter: a folder here, else ORG/NAME[@REVISION], fetched.

    Raises UserError.
    """
    return local_folder(name) or fetch_repository(*split_repository(name), MODEL).folder


def check_judge_name(judge: str) -> None:
    """Raise UserError for what is neither a folder here nor the name of a repository; the Hub is not asked."""
    if local_folder(judge) is None:
        split_repository(judge)


def local_folder(judge: str) -> Path | None:
    """The folder of that name, if there is one; "~" is the user's home."""
    try:
        folder = Path(judge).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # a name too long, the home of nobody, NUL
        return None


def split_repository(judge: str) -> tuple[str, str | None]:
    """("ORG/NAME", the revision or None). Raises UserError for what names no repository."""
    match = _REPOSITORY.fullmatch(judge)
    if match is None or judge.startswith(".") or not _is_name(match["repo"]):
        raise UserError(
            "no such folder, and not a Hub repository (ORG/NAME or ORG/NAME@REVISION)",
            file=judge,
            fix=f"{_nearest(judge)}give the folder that holds its config.json, or a repository",
        )
    return match["repo"], match["revision"]


def _nearest(judge: str) -> str:
    """ "did you mean …? " where a folder beside, a repository in the cache or the published judge has nearly that name,
    else ""."""
    from huggingface_hub import constants

    path, cached = Path(judge), Path(constants.HF_HUB_CACHE)
    known = {name: name for name in [DEFAULT_JUDGE]}
    with contextlib.suppress(OSError, ValueError):
        known |= {name: name for name in map(_repository_of, cached.glob("models--*--*"))}
    with contextlib.suppress(OSError, ValueError):
        known |= {str(path.with_name(file.parent.name)): str(file.parent) for file in path.parent.glob("*/config.json")}
    folded = {name.casefold(): name for name in known if name != judge}
    found = difflib.get_close_matches(judge.casefold(), folded, n=1, cutoff=0.8)
    return f"did you mean {known[folded[found[0]]]}? " if found else ""


def _repository_of(cached: Path) -> str:
    """The name of the repository that the Hub's cache keeps in such a folder."""
    return "/".join(cached.name.split("--")[1:3])


def _is_name(repo: str) -> bool:
    """Whether the Hub could have a repository of that name."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError:
        return False
    return True


def fetch_repository(repo: str, revision: str | None, patterns: Sequence[str]) -> Source:
    """The files of a repository that fit `patterns`, fetched where they are not here. Raises UserError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"https://huggingface.co/{repo}"
    try:
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=list(patterns), **from_cache_only()))
    except GatedRepoError:
        problem = "is gated, and this machine has no access to it"
        fix = f"ask for access on {page}, then log in: hf auth login"
    except RepositoryNotFoundError:
        problem = "is not a folder here, and not on the Hub, or private"
        fix = f"{_nearest(repo)}check the name; if {page} asks for it, request access and log in: hf auth login"
    except RevisionNotFoundError:
        problem, fix = f"has no revision {revision!r}", f"choose one from {page}/commits"
    except LocalEntryNotFoundError:
        problem = "is not on this machine, and the Hub cannot be reached (offline, or HF_HUB_OFFLINE is set)"
        fix = f"{_nearest(repo)}fetch it where there is a network: hf download {repo}; or give a local folder"
    except (HfHubHTTPError, OSError) as error:
        problem, fix = f"cannot be fetched from the Hub: {error}", "try again, or give a local folder"
    else:
        return Source(folder, repo, folder.name)
    raise UserError(problem, file=repo, fix=fix)
