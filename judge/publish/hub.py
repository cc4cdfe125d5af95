"""What is read from and sent to the Hugging Face Hub, and what is said when that fails.

    hub.head(Repo("model", "ORG/NAME"))   ->  Head(commit="4f0c…", files={"README.md": "9e8d…", …}), None if absent
    hub.read(repo, "README.md", "4f0c…")  ->  b"---\\nlicense: …"
    hub.send(repo, files, "Add MMVU results", pull_request=True, …)  ->  "https://huggingface.co/…/discussions/7"

A commit is whole or absent: what fails leaves nothing half-sent, and giving the same command again sends what is
missing. The token is the one huggingface_hub finds (HF_TOKEN, or `hf auth login`); no message of ours, of its
loggers or of its warnings shows it, even where a server sends it back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from judge.core.foreign_text import MOST_OF_A_NOTE, on_one_line, shown
from judge.core.version import __version__
from judge.errors import UserError
from judge.publish.details import File

AGAIN = "give the same command again: what has arrived is not sent twice"
LOGIN = "log in with `hf auth login`, or set HF_TOKEN, to a token that may write there"
ATTEMPTS = 3
LONGEST_WAIT = 300
"""Seconds that a server may make us wait before we give up."""
HIDDEN = "hf_***"
MOST_READ = 10_000
"""Characters of a message of the Hub's that are looked at."""
T = TypeVar("T")


class UnreachableError(UserError):
    """The Hub, or the way there, is down or switched off."""


@dataclasses.dataclass(frozen=True)
class Repo:
    """A repository of the Hub. id: ORG/NAME."""

    kind: Literal["model", "dataset"]
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def path(self) -> str:
        """What addresses on the Hub call it, behind the host."""
        return self.id if self.kind == "model" else f"datasets/{self.id}"


@dataclasses.dataclass(frozen=True)
class Head:
    """The last commit of a repository. files: path → SHA-256 of what lies in LFS, git's SHA-1 of what does not."""

    commit: str
    files: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class PullRequest:
    """An open pull request. url: its page."""

    number: int
    title: str
    url: str

    @property
    def revision(self) -> str:
        """The revision that its last commit is found under."""
        return f"refs/pr/{self.number}"


class Hub:
    """One account's view of the Hub. All methods raise UserError, UnreachableError where nobody answers."""

    def __init__(self) -> None:
        from huggingface_hub import HfApi, get_token

        self._token = get_token()
        self._api = HfApi(token=self._token, library_name="mmjudge", library_version=__version__)

    @property
    def endpoint(self) -> str:
        """The address that repositories are below, without a slash at its end."""
        return str(self._api.endpoint)

    @property
    def logged_in(self) -> bool:
        """Whether there is a token; nobody has asked the Hub yet whether it is a good one."""
        return self._token is not None

    @property
    def token(self) -> str | None:
        """The token, None where there is none."""
        return self._token

    def hide(self, text: str) -> str:
        """`text` without the token."""
        return text.replace(self._token, HIDDEN) if self._token else text

    def check(self, repo: Repo) -> None:
        """Raise UserError unless the name is one a repository can have, with its owner."""
        from huggingface_hub.utils import HFValidationError, validate_repo_id

        try:
            validate_repo_id(repo.id)
        except HFValidationError as error:
            raise UserError(str(error), fix="write it as ORG/NAME") from None
        if "/" not in repo.id:
            raise UserError(f"{repo.id!r} names no owner", fix="write it as ORG/NAME")

    def head(self, repo: Repo) -> Head | None:
        """None where there is no such repository, or none this account may see."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        def ask() -> Head | None:
            try:
                about = self._api.model_info if repo.kind == "model" else self._api.dataset_info
                info = about(repo.id, files_metadata=True)
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return None
            siblings = info.siblings or ()
            files = {one.rfilename: (one.lfs.sha256 if one.lfs else one.blob_id) or "" for one in siblings}
            return Head(str(info.sha), files)

        return self._talk(f"reading {repo}", ask, reads=True)

    def read(self, repo: Repo, path: str, revision: str) -> bytes | None:
        """A file's bytes as they are there now, None where there is no such file or revision."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        # not `hf_hub_download`: it falls back to its cache, and a merge into an old file would undo a newer one
        url = hf_hub_url(repo.id, path, repo_type=repo.kind, revision=revision, endpoint=self.endpoint)

        def ask() -> bytes | None:
            response = get_session().get(url, headers=build_hf_headers(token=self._token or False))
            try:
                hf_raise_for_status(response)
            except (EntryNotFoundError, RevisionNotFoundError):
                return None
            return bytes(response.content)

        return self._talk(f"reading {path} of {repo}", ask, reads=True)

    def pull_requests(self, repo: Repo, title: str) -> list[PullRequest]:
        """Open pull requests of this title."""

        def ask() -> list[PullRequest]:
            found = self._api.get_repo_discussions(
                repo.id, repo_type=repo.kind, discussion_type="pull_request", discussion_status="open"
            )
            return [PullRequest(one.num, one.title, one.url) for one in found if one.title == title]

        return self._talk(f"reading the pull requests of {repo}", ask, reads=True)

    def create(self, repo: Repo) -> None:
        """Make a public repository; one that is there is no error."""
        self._talk(
            f"creating {repo}", lambda: self._api.create_repo(repo.id, repo_type=repo.kind, exist_ok=True), reads=False
        )

    def send(
        self,
        repo: Repo,
        files: Sequence[File],
        title: str,
        description: str,
        *,
        parent: str | None = None,
        pull_request: bool = False,
    ) -> str:
        """All files in one commit; its address, or that of the pull request. parent: the commit it must follow."""
        from huggingface_hub import CommitOperationAdd

        def commit() -> str:
            info = self._api.create_commit(
                repo.id,
                [CommitOperationAdd(file.path, file.source) for file in files],
                commit_message=title,
                commit_description=description,
                repo_type=repo.kind,
                parent_commit=parent,
                create_pr=pull_request,
            )
            return str(info.pr_url or info.commit_url)

        return self._talk(f"sending to {repo}", commit, reads=False)

    def _talk(self, doing: str, ask: Callable[[], T], *, reads: bool) -> T:
        """What `ask` returns. A server that says "later" is obeyed; a broken connection is tried again if `reads`."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._discreet():
                    return ask()
            except Exception as error:
                cause = _cause(error)
                wait = _wait(cause, attempt, reads)
                if attempt == ATTEMPTS or wait is None or wait > LONGEST_WAIT:
                    raise self._failure(doing, cause) from None
            print(f"{doing}: the Hub asks for patience or was not heard; again in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _failure(self, doing: str, error: BaseException) -> UserError:
        """What went wrong, in words; never the token."""
        from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

        status: int | None = getattr(getattr(error, "response", None), "status_code", None)
        said = _words(self.hide(getattr(error, "server_message", None) or str(error)))
        if isinstance(error, OfflineModeIsEnabled):
            return UnreachableError(f"{doing}: HF_HUB_OFFLINE is set", fix="unset it")
        if status is not None and status in _ADVICE:
            problem, fix = _ADVICE[status]
            return UserError(f"{doing}: {status}, {problem} ({said})", fix=fix)
        if status is None and isinstance(error, HTTPError | ConnectionError | TimeoutError):
            return UnreachableError(f"{doing}: the connection failed ({type(error).__name__}: {said})", fix=AGAIN)
        return UserError(f"{doing}: {type(error).__name__}: {said}", fix=AGAIN)

    @contextlib.contextmanager
    def _discreet(self) -> Iterator[None]:
        """Loggers and warnings of huggingface_hub without the token."""
        handlers = logging.getLogger("huggingface_hub").handlers
        with warnings.catch_warnings(record=True) as caught:
            for handler in handlers:
                handler.addFilter(self._censored)
            try:
                yield
            finally:
                for handler in handlers:
                    handler.removeFilter(self._censored)
        for warning in caught:
            print(shown(self.hide(str(warning.message))), file=sys.stderr)

    def _censored(self, record: logging.LogRecord) -> Any:
        record.msg, record.args = self.hide(record.getMessage()), None
        return True


_ADVICE: Mapping[int, tuple[str, str]] = {
    401: ("the Hub does not know this token", LOGIN),
    403: ("this account or token may not do that", LOGIN),
    404: ("there is no such repository, or this account may not see it", "check the name; " + LOGIN),
    409: ("somebody else is changing the repository", AGAIN),
    412: ("the repository has changed meanwhile", AGAIN),
    413: ("too large for the Hub", "publish fewer files"),
    429: ("too many requests", "wait for some minutes; " + AGAIN),
    **dict.fromkeys((500, 502, 503, 504), ("the Hub is out of order", "try later; " + AGAIN)),
}


def _cause(error: BaseException) -> BaseException:
    """What the server or the line did, below what huggingface_hub's threads made of it."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _wait(error: BaseException, attempt: int, reads: bool) -> float | None:
    """Seconds until the next attempt; None where there is no use in one."""
    from huggingface_hub.errors import HTTPError

    response = getattr(error, "response", None)
    if response is not None:
        if response.status_code not in (429, 503):
            return None
        asked = response.headers.get("Retry-After", "")
        return float(asked) if asked.isdecimal() else 2.0**attempt
    return 2.0**attempt if reads and isinstance(error, HTTPError) else None


def _words(text: str) -> str:
    """A message of somebody else as one short line."""
    return on_one_line(" ".join(text[:MOST_READ].split()), MOST_OF_A_NOTE)
