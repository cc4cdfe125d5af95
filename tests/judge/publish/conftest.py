from __future__ import annotations

import time

import fake_hub
import pytest
import runs
from huggingface_hub import constants

from judge import cli


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub with one model, where this process is logged in; `hub.slept` has the seconds that were waited."""
    hub = fake_hub.FakeHub()
    hub.add("model", "org/net", {"README.md": "---\nlicense: mit\n---\n# Net\n"})
    hub.slept = []
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    # hf_xet speaks to a server of its own; the LFS protocol carries the same files
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    monkeypatch.setattr(time, "sleep", hub.slept.append)
    yield hub
    hub.close()


@pytest.fixture
def folder(tmp_path):
    return runs.write(tmp_path / "out")


@pytest.fixture
def publish(folder, capfd):
    """`mmjudge publish` in this process: (exit code, stdout, stderr)."""

    def run(*arguments) -> tuple[int, str, str]:
        code = cli.main(["publish", str(folder), "--model", "org/net", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert fake_hub.TOKEN not in out + err
        return code, out, err

    return run
