"""A folder of training data onto the Hub, as a dataset: `mmjudge publish FOLDER --dataset ORG/NAME`.

    dataset ORG/NAME, to be created
      new        pairs.jsonl                                                              1204.9 kB
      new        card.json                                                                   1.3 kB

What is sent is what `card.json` lists, by name and SHA-256 (`mmjudge mmvu-data filter` writes it), and the card itself:
pictures are not, for they are somebody else's.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from judge.core.foreign_text import visible
from judge.errors import UserError
from judge.io.files import open_file, sha256
from judge.publish.details import File
from judge.publish.hub import LOGIN, Head, Hub, Repo, UnreachableError
from judge.publish.plan import Detail, compare_file, refuse_secrets, show_details

CARD = "card.json"
FIX = "make it again with `mmjudge mmvu-data filter`"


@dataclasses.dataclass(frozen=True)
class DatasetPlan:
    """head: the repository's last commit; None where it is not there, or was not reached."""

    repo: Repo
    head: Head | None
    details: Sequence[Detail]
    reached: bool
    title: str


def plan_dataset(hub: Hub, folder: Path, repo: Repo, *, offline: bool) -> DatasetPlan:
    """What is to be sent of a folder, against what is there. offline: go on where the Hub does not answer.

    Raises UserError, for a file that is not the one of its card as well.
    """
    files, title = _listed(folder)
    head, reached = None, True
    try:
        head = hub.head(repo)
    except UnreachableError:
        if not offline:
            raise
        reached = False
    return DatasetPlan(repo, head, [compare_file(hub, repo, head, file) for file in files], reached, title)


def show_dataset(plan: DatasetPlan) -> str:
    """Every file, for a terminal."""
    lines = [] if plan.reached else ["The Hub was not reached: shown as if nothing were there.", ""]
    lines.append(str(plan.repo) + (", to be created" if plan.head is None else ""))
    return "\n".join(map(visible, [*lines, *show_details(plan.details)]))


def push_dataset(hub: Hub, plan: DatasetPlan, say: Callable[[str], None]) -> None:
    """Send what is missing in one commit. Raises UserError."""
    if not hub.logged_in:
        raise UserError("publishing needs a login", fix=LOGIN)
    missing = [detail.file for detail in plan.details if detail.state != "unchanged"]
    refuse_secrets(hub, missing)
    if plan.head is None:
        hub.create(plan.repo)
    if not missing:
        say(f"{plan.repo}: everything is there already")
        return
    parent = plan.head.commit if plan.head else None
    address = hub.send(plan.repo, missing, plan.title, "Made with mmjudge; card.json has the hashes.", parent=parent)
    say(f"{plan.repo}: {len(missing)} files sent, {address}")


def _listed(folder: Path) -> tuple[list[File], str]:
    """(the files of a card, the card last; the title of the commit)."""
    try:
        with open_file(folder / CARD) as opened:
            card = json.load(opened)
        names = {str(name): str(said["sha256"]) for name, said in card["files"].items()}
        title = f"Add training data ({card['kind']}, {card['counts']['records']} records)"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"is no card of training data ({error!r})", file=folder / CARD, fix=FIX) from None
    for name, digest in names.items():
        file = folder / name
        try:
            same = Path(name).name == name and not file.is_symlink() and sha256(file) == digest
        except OSError:
            same = False
        if not same:
            raise UserError(f"is not the file that {CARD} lists", file=file, fix=FIX)
    return [File(name, folder / name) for name in (*names, CARD)], title
