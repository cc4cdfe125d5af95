"""What `accelerate launch` says of a process."""

from __future__ import annotations

import pytest

from judge.finetune.processes import count_processes, first_process


@pytest.mark.parametrize(
    ("environment", "first", "count"),
    [({}, True, 1), ({"RANK": "0", "WORLD_SIZE": "8"}, True, 8), ({"RANK": "3", "WORLD_SIZE": "8"}, False, 8)],
)
def test_a_process_knows_whether_it_writes_and_how_many_there_are(environment, first, count, monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (first_process(), count_processes()) == (first, count)
