"""A judge that does not run here: behind addresses, a general model, or recorded feedback.

    ok       the-judge by vllm 0.11.0 at http://a:8000/v1
    fails    http://b:8000/v1: cannot be reached ([Errno 111] Connection refused)
             → start it (docs/scale.md), or export MMJUDGE_JUDGE=…

Each address is asked what it serves, for a few seconds. With --deep the known prompts are put to it as well, as a run
does before it judges: of a hosted model that costs a few tokens.
"""

from __future__ import annotations

import contextlib
import os

from judge.core.secrets import hide_secrets
from judge.engines.endpoints import Endpoint, Failed, Refused, addresses
from judge.engines.event_loop import EventLoop
from judge.engines.general import BASE_URL, connect_general, parse_general_judge
from judge.engines.loading import TOKENIZER_VARIABLE, is_address
from judge.engines.remote import connect
from judge.engines.replay import PREFIX, Replay
from judge.errors import UserError
from judge.io.hub_access import without_network
from judge.model.weights.source import resolve_judge
from judge.preflight.finding import Finding, Findings, State, of_error
from judge.preflight.job import Job
from judge.preflight.later import NETWORK_SECONDS

JUDGE = "judge"
MEND = "start it (docs/scale.md has the commands), or export MMJUDGE_JUDGE=…"


def check_served_judge(job: Job) -> Findings:
    """Lines about a judge that is no folder and no repository. Raises UserError for a name that is none."""
    if job.judge.startswith(PREFIX):
        replay = Replay(job.judge.removeprefix(PREFIX))
        yield Finding(JUDGE, "ok", f"recorded feedback is replayed from {replay.file}")
    elif is_address(job.judge):
        yield from _addresses(job)
    else:
        yield from _general(job)


def _addresses(job: Job) -> Findings:
    tokenizer = job.settings.tokenizer
    if tokenizer is None:
        mend = f"export {TOKENIZER_VARIABLE}=… (the folder or repository of the judge), to have prompts checked"
        yield Finding(JUDGE, "warning", "whether the server reads prompts as it should is not checked", mend)
    else:
        try:
            with without_network():
                resolve_judge(tokenizer, weights=False)
        except UserError as error:
            yield of_error(JUDGE, error, "warning", f"{TOKENIZER_VARIABLE}={tokenizer}, of which nothing is here")
            tokenizer = None
    yield from _answers([Endpoint(address, NETWORK_SECONDS) for address in addresses(job.judge)])
    if job.deep:
        identity = connect(job.judge, tokenizer).identity
        yield Finding(JUDGE, "ok", f"{identity['judge']} answers the known prompts; prompts {identity['prompt']}")


def _general(job: Job) -> Findings:
    named = parse_general_judge(job.judge)
    if named.addresses[0].url == BASE_URL and not os.environ.get(named.key_variable):
        said = f"OpenAI wants a key, and ${named.key_variable} is not set"
        yield Finding(JUDGE, "fails", said, f"export {named.key_variable}=…")
        return
    yield from _answers([Endpoint(address, NETWORK_SECONDS, named.key_variable) for address in named.addresses])
    if job.deep:
        identity = connect_general(job.judge).identity
        form = "are held to a JSON schema" if identity["reply"].startswith("json_schema") else "are read as they come"
        yield Finding(JUDGE, "ok", f"{identity['judge']} answers a first question; its replies {form}")


def _answers(endpoints: list[Endpoint]) -> Findings:
    """A line an address; one that does not answer fails where no other does."""
    with contextlib.closing(EventLoop()) as loop:
        asked = [loop.start(_problem(endpoint)) for endpoint in endpoints]
        problems = [future.result() for future in asked]
    state: State = "fails" if all(problems) else "warning"
    for endpoint, problem in zip(endpoints, problems, strict=True):
        if problem is None:
            served = endpoint.served
            listed = f", which lists {served.others}" if served.others else ""
            yield Finding(JUDGE, "ok", f"{served.model} by {served.server} at {endpoint.address}{listed}")
        else:
            mend = problem.fix or MEND
            yield Finding(JUDGE, state, f"{endpoint.address}: {hide_secrets(problem.problem)}", mend)


async def _problem(endpoint: Endpoint) -> UserError | None:
    """Why it does not say what it serves."""
    async with endpoint.opened(1):
        try:
            await endpoint.describe()
        except (Failed, Refused) as error:
            return UserError(str(error))
        except UserError as error:
            return error
    return None
