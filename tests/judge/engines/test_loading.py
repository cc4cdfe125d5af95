"""Which engine an option leads to, and what a user with several GPUs is told."""

from __future__ import annotations

import pytest

from judge.engines import EngineOptions
from judge.engines.devices import default_device, say_idle_gpus
from judge.engines.loading import load_engine
from judge.errors import UserError
from mmie_tasks.demo import judge_dir


@pytest.mark.parametrize(
    ("device", "gpus", "found"),
    [(None, 0, "cpu"), (None, 1, "cuda"), (None, 8, "cuda"), ("cuda:1", 8, "cuda:1"), ("cpu", 8, "cpu")],
)
def test_the_device_of_one_process(device, gpus, found, monkeypatch):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert default_device(device) == found


@pytest.mark.parametrize(("device", "gpus", "said"), [(None, 8, True), (None, 1, False), ("cuda", 8, False)])
def test_gpus_that_stay_idle_are_said(device, gpus, said, monkeypatch, capsys):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    say_idle_gpus(device)
    line = "mmjudge: one of 8 GPUs is used; --ray uses all of them (pip install 'mmjudge[cluster]')\n"
    assert capsys.readouterr().err == (line if said else "")


def test_workers_are_those_of_ray():
    with pytest.raises(UserError, match="workers without ray: this process judges alone") as error:
        load_engine(str(judge_dir()), EngineOptions(workers=2))
    assert error.value.fix == "give --ray, or leave --workers out"


def test_ray_hands_out_the_gpus():
    with pytest.raises(UserError, match="--device cuda:1: Ray hands out the GPUs"):
        load_engine(str(judge_dir()), EngineOptions(ray="local", device="cuda:1"))
