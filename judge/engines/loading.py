"""Which engine a judge's name stands for.

replay:FILE                          judge.engines.replay        recorded feedback
http://a:8000/v1,http://b:8000/v1    judge.engines.remote        endpoints
openai:gpt-4o, openai:MODEL@http://… judge.engines.general       any model that sees pictures
MMIE/MMIE-Score, out/my-judge        judge.engines.local         here; with `EngineOptions.ray` judge.engines.cluster
"""

from __future__ import annotations

import os

from judge.engines import DEFAULT_OPTIONS, GENERAL_PREFIX, Engine, EngineOptions
from judge.engines.replay import PREFIX, Replay
from judge.errors import UserError
from judge.model.weights.source import check_judge_name

TOKENIZER_VARIABLE = "MMJUDGE_TOKENIZER"


def default_tokenizer() -> str | None:
    """What `TOKENIZER_VARIABLE` names: the judge that endpoints serve, a folder or a repository; None where unset."""
    return os.environ.get(TOKENIZER_VARIABLE) or None


def is_address(judge: str) -> bool:
    """Whether a judge's name is one or more addresses of endpoints."""
    return judge.startswith(("http://", "https://"))


def is_general(judge: str) -> bool:
    """Whether a judge's name is that of a general model behind an endpoint (`judge.engines.general`)."""
    return judge.startswith(GENERAL_PREFIX)


def is_elsewhere(judge: str) -> bool:
    """Whether a judge's name is that of one that is served, here or elsewhere: this process needs no device for it."""
    return is_address(judge) or is_general(judge)


def check_engine(judge: str, options: EngineOptions = DEFAULT_OPTIONS) -> None:
    """Raise UserError for a judge or a device that cannot be: at once, without weights, torch or a word to a server."""
    if judge.startswith(PREFIX) or is_elsewhere(judge):
        return
    if options.ray is not None:
        if options.device not in (None, "cpu", "cuda"):
            raise UserError(f"--device {options.device}: Ray hands out the GPUs", fix="leave --device out")
        check_judge_name(judge)  # its files are the nodes' to have
        return
    if options.workers is not None:
        raise UserError("workers without ray: this process judges alone", fix="give --ray, or leave --workers out")
    from judge.engines.local import check_judge

    check_judge(judge, options.device, options.dtype)


def load_engine(judge: str, options: EngineOptions = DEFAULT_OPTIONS) -> Engine:
    """Find a judge, or connect to it. One that runs here is loaded when it is first asked something.

    judge: a Hub repository, a folder, an address, "openai:MODEL[@ADDRESS]" or "replay:FILE". options: device, number
    type, batch size, … Raises UserError for whatever the user can mend.
    """
    if judge.startswith(PREFIX):
        return Replay(judge.removeprefix(PREFIX))
    if is_address(judge):
        from judge.engines.remote import connect

        return connect(judge, options.tokenizer, under_way=options.batch_size)
    if is_general(judge):
        from judge.engines.general import connect_general

        return connect_general(judge, options.general, under_way=options.batch_size)
    if options.ray is not None:
        from judge.engines.cluster import Cluster

        return Cluster(judge, options)
    if options.workers is not None:
        raise UserError("workers without ray: this process judges alone", fix="give --ray, or leave --workers out")
    from judge.engines.local import open_local_engine

    return open_local_engine(judge, options)
