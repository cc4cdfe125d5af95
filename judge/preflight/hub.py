"""The Hugging Face Hub: whether it answers, who is logged in, and what this account may fetch.

    hub = Hub(wanted)                    asks at once, in threads; nothing where HF_HUB_OFFLINE is set
    hub.access(place)                    Access(allowed=False, problem="gated, and this account has no access to it")
    hub.access(place).sizes              {"model-00001-of-00002.safetensors": 4_987_654_321, …}

Data and judge of MMIE are gated: each has a page where its terms are accepted.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from judge.core.foreign_text import described
from judge.core.secrets import hide_secrets
from judge.preflight.finding import Finding, Findings
from judge.preflight.later import NETWORK_SECONDS, Later

HUB = "hub"
HOME = "https://huggingface.co"


@dataclasses.dataclass(frozen=True)
class Place:
    """A repository on the Hub. files: what is wanted of it, () for all."""

    repo: str
    kind: Literal["model", "dataset"]
    revision: str | None = None
    files: tuple[str, ...] = ()

    @property
    def download(self) -> str:
        """The command that fetches what is needed of it."""
        kind = " --repo-type dataset" if self.kind == "dataset" else ""
        revision = f" --revision {self.revision}" if self.revision else ""
        return " ".join(["hf download", self.repo, *self.files]) + revision + kind

    @property
    def page(self) -> str:
        """Where its terms are accepted."""
        return f"{HOME}/datasets/{self.repo}" if self.kind == "dataset" else f"{HOME}/{self.repo}"


@dataclasses.dataclass(frozen=True)
class Access:
    """allowed: None where the Hub gave no answer. sizes: bytes of its files, by path, as far as the Hub says."""

    allowed: bool | None
    problem: str = ""
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Login:
    """name: None for nobody. problem: why a token that is here is no good; sure: whether the Hub said so."""

    name: str | None
    problem: str = ""
    sure: bool = True


class Hub:
    """What is asked of the Hub, from the moment it is made."""

    def __init__(self, wanted: Iterable[Place]) -> None:
        from huggingface_hub import constants  # an attribute of the package only once something has imported it

        self.offline: bool = constants.HF_HUB_OFFLINE
        self._login: Later[Login] | None = None
        self._access: dict[Place, Later[Access]] = {}
        if not self.offline:
            self._login = Later(_ask_login)
            self._access = {place: Later(functools.partial(_ask_access, place)) for place in wanted}

    def access(self, place: Place) -> Access:
        """What it said of a place; never raises."""
        if self.offline:
            return Access(None, "HF_HUB_OFFLINE is set")
        try:
            return self._access[place].result(NETWORK_SECONDS)
        except Exception as error:
            return Access(None, _words(error))

    def login(self) -> Login:
        """Who is logged in; never raises."""
        try:
            return (
                self._login.result(NETWORK_SECONDS) if self._login else Login(None, "HF_HUB_OFFLINE is set", sure=False)
            )
        except Exception as error:
            return Login(None, _words(error), sure=False)


def _ask_login() -> Login:
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    if get_token() is None:
        return Login(None)
    try:
        return Login(str(HfApi().whoami().get("name")))
    except HfHubHTTPError as error:
        refused = _status(error) in (401, 403)
        return Login(None, "the Hub refuses the token that is here" if refused else _words(error), sure=refused)


def _ask_access(place: Place) -> Access:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    api = HfApi()
    try:
        api.auth_check(place.repo, repo_type=place.kind)
    except GatedRepoError:
        return Access(False, "gated, and this account has no access to it")
    except RepositoryNotFoundError:
        return Access(False, "not to be seen by this account: gated, private, or no such name")
    except HfHubHTTPError as error:
        refused = _status(error) in (401, 403)
        return Access(False if refused else None, _words(error))
    try:
        info = api.repo_info(
            place.repo, repo_type=place.kind, revision=place.revision, files_metadata=True, timeout=NETWORK_SECONDS
        )
    except Exception:  # the sizes are for an estimate
        return Access(True)
    return Access(True, sizes=_sizes(getattr(info, "siblings", None) or []))


def _sizes(files: Sequence[Any]) -> dict[str, int]:
    return {file.rfilename: file.size for file in files if isinstance(file.size, int)}


def _status(error: Any) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return str(error)
    return hide_secrets(described(error))[:200]


def check_hub(hub: Hub, wanted: Mapping[Place, str]) -> Findings:
    """Lines about the Hub. wanted: what must be fetched from a place, such as "weights"; "" where nothing must be."""
    needed = [place for place in wanted if wanted[place]]
    if hub.offline:
        if not needed:
            yield Finding(HUB, "ok", "HF_HUB_OFFLINE is set, and nothing must be fetched")
            return
        lacking = ", ".join(f"{place.repo} ({wanted[place]})" for place in needed)
        mend = f"unset HF_HUB_OFFLINE && {_fetch(needed)}; or on a machine with a network, and copy its cache"
        yield Finding(HUB, "fails", f"HF_HUB_OFFLINE is set, and not all is in the cache: {lacking}", mend)
        return
    answers = {place: hub.access(place) for place in wanted}
    if answers and all(access.allowed is None for access in answers.values()):
        why = next(iter(answers.values())).problem
        said = f"the Hub cannot be reached ({why})"
        if needed:
            other = f"on a machine with a network: {_fetch(needed)}, and copy its cache"
            yield Finding(HUB, "fails", said, f"mend the network (HTTPS_PROXY, HF_ENDPOINT); or {other}")
        else:
            yield Finding(
                HUB, "warning", f"{said}; nothing must be fetched", "export HF_HUB_OFFLINE=1, not to wait for it"
            )
        return
    yield from _login_lines(hub.login(), needed)
    for place, access in answers.items():
        yield _access_line(place, access, wanted[place])


def _fetch(needed: Sequence[Place]) -> str:
    """The commands that fetch all that is needed."""
    return " && ".join(place.download for place in needed)


def _login_lines(login: Login, needed: Sequence[Place]) -> Findings:
    if login.name is not None:
        yield Finding(HUB, "ok", f"logged in as {login.name}")
    elif login.problem and login.sure:
        mend = "hf auth login (unset HF_TOKEN before, where it is set: it goes first)"
        yield Finding(HUB, "fails" if needed else "warning", login.problem, mend)
    elif login.problem:
        yield Finding(HUB, "warning", f"who is logged in is not known: {login.problem}", "hf auth whoami")
    else:
        yield Finding(HUB, "warning" if needed else "ok", "nobody is logged in", "hf auth login")


def _access_line(place: Place, access: Access, wanted: str) -> Finding:
    said = f"{place.kind} {place.repo}"
    if access.allowed:
        return Finding(HUB, "ok", f"{said}: may be fetched" + (f" ({wanted} must be)" if wanted else ""))
    problem = access.problem or "no answer"
    if not wanted:
        return Finding(HUB, "ok", f"{said}: {problem}; what is needed of it is here")
    if access.allowed is None:
        return Finding(HUB, "fails", f"{said}: {problem}", f"try again: {_fetch([place])}")
    return Finding(HUB, "fails", f"{said}: {problem}", f"accept its terms on {place.page}, then: hf auth login")


def refused(place: Place, access: Access) -> str:
    """Why something is not fetched from a place; the lines of `check_hub` say more."""
    return f"the Hub {'cannot be asked for' if access.allowed is None else 'refuses'} {place.repo}"
