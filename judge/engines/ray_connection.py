"""To a Ray cluster, or to a new one of this machine alone; quietly, and within seconds or not at all.

    connect_to_ray("local", 2)             Ray started here, with room for two actors on a CPU
    connect_to_ray("auto", None)           the cluster that runs on this machine
    connect_to_ray("10.0.0.1:6379", None)  by the address that `ray start --head` shows, from a machine of that cluster
    connect_to_ray("ray://10.0.0.1:10001", None)       from anywhere else (Ray Client)

Nothing of the working directory is uploaded, and Ray is asked not to report its use to its makers.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import socket
import subprocess
import sys
from typing import Any

from judge.core.foreign_text import MOST_OF_A_NOTE, on_one_line
from judge.errors import UserError

LOCAL, AUTO, CLIENT = "local", "auto", "ray://"
ADDRESS_VARIABLE = "RAY_ADDRESS"
"""Ray's own: set where `ray job submit` or KubeRay start a command."""

INSTALL = "pip install 'mmjudge[cluster]'"
SECONDS = 5.0
"""For an address to accept a connection."""
HEALTH_SECONDS = 30.0
"""For what accepts one to prove that it is Ray: most of it is the start of Ray's command."""

OBJECT_STORE_BYTES = 256 << 20
"""Of a Ray of this machine alone: prompts go through it, pictures do not."""

_ADDRESS = re.compile(r"(ray://)?(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>\d{1,5})")


@dataclasses.dataclass(frozen=True)
class Connection:
    """ours: made by this call, to be ended by the caller. dashboard: its address, if there is one."""

    ours: bool
    dashboard: str | None = None


def default_address() -> str:
    """What `--ray` without a value means: `$RAY_ADDRESS`, else a Ray of this machine alone."""
    return os.environ.get(ADDRESS_VARIABLE) or LOCAL


def check_address(address: str) -> str:
    """`address` if it is one of Ray. Raises UserError."""
    if address in (LOCAL, AUTO) or _ADDRESS.fullmatch(address):
        return address
    raise UserError(f"{address!r} is no address of Ray", fix="write auto, HOST:PORT or ray://HOST:PORT")


def connect_to_ray(address: str, actors: int | None) -> Connection:
    """Connect this process, or keep the connection that it has.

    actors: how many a Ray that is started here must have room for on a CPU; None: one. Raises UserError where Ray is
    not installed, and where there is none at the address.
    """
    # before the first import: Ray reads them once
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # would upload the working directory under `uv run`
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its warning; an actor on a CPU names its device
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UserError(f"--ray: Ray is not installed ({error})", fix=INSTALL) from error
    if ray.is_initialized():
        return Connection(ours=False)
    # what Ray says of its own processes would come between the lines of standard output
    ray._private.worker._worker_logs_enabled = False
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if check_address(address) == LOCAL:
        cpus = max(os.cpu_count() or 1, actors or 1)
        found = ray.init(address=LOCAL, num_cpus=cpus, object_store_memory=OBJECT_STORE_BYTES, **quiet)
        return Connection(True, found.dashboard_url or None)
    if address == AUTO:
        address = os.environ.get(ADDRESS_VARIABLE) or AUTO
    if address != AUTO:
        _check_reachable(address)
    try:
        found = ray.init(address=address, **quiet)
    except Exception as error:  # Ray raises ConnectionError, RuntimeError for another version of it, and others
        raise _unreachable(address, on_one_line(str(error), MOST_OF_A_NOTE)) from error
    return Connection(True, found.dashboard_url or None)


def _check_reachable(address: str) -> None:
    """Raise UserError where nothing answers, or something that is not Ray: Ray itself tries for minutes."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise UserError(f"{ADDRESS_VARIABLE}={address}: no address of Ray", fix="write HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), timeout=SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from error
    if address.startswith(CLIENT):
        return
    # the check of Kubernetes' probes; whatever it says, somebody who speaks Ray's language has answered
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=HEALTH_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise _unreachable(address, "what listens there is not the head of a Ray cluster") from error
    if "AuthenticationError" in done.stderr:
        fix = (
            "set RAY_AUTH_MODE=token; `ray get-auth-token` on the head prints what belongs into ~/.ray/auth_token here"
        )
        raise UserError(f"the Ray cluster at {address} wants its token", fix=fix)


def _unreachable(address: str, why: str) -> UserError:
    return UserError(
        f"no Ray at {address}: {why}",
        fix="start one with `ray start --head`, and give the address that it shows, with RAY_AUTH_MODE=token where it "
        "has a token; or give --ray alone for the GPUs of this machine",
    )
