"""docs/view.md shows what `mmjudge view` prints and exports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request

import folders
import pytest

from judge import cli
from mmvu_tasks.demo import demo_dir

pytest.importorskip("uvicorn", reason="the view extra is not installed")
PAGE = (folders.ROOT / "docs" / "view.md").read_text(encoding="utf-8")


def test_the_page_shows_what_is_printed_and_exported(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands, shown = (re.search(f"```{kind}\n(.*?)```", PAGE, re.DOTALL)[1] for kind in ("bash", "text"))
    *scored, viewed = [line for line in commands.splitlines() if line.startswith("mmjudge ")]
    for line in scored:
        words = line.replace('"$questions"', str(demo_dir())).split()[1:]
        words[1] = str(folders.ROOT / words[1])
        assert cli.main(words) == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "judge.cli", *viewed.split()[1:]], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(folders.ROOT)},
    )  # fmt: skip
    try:
        *lines, shown_address = shown.splitlines()
        assert [process.stdout.readline().rstrip("\n") for _ in lines] == lines
        address = process.stdout.readline().strip()
        pattern = r"http://127\.0\.0\.1:\d+/[\w-]{24}/"
        assert re.fullmatch(pattern, address)
        assert re.fullmatch(pattern, shown_address)
        with urllib.request.urlopen(f"{address}export/mmvu.jsonl?better=1%3E2") as answer:
            first, _ = map(json.loads, answer.read().splitlines())
    finally:
        process.terminate()
        process.wait()
    assert first == json.loads(re.search("```json\n(.*?)```", PAGE, re.DOTALL)[1])


def test_the_page_names_the_keys_of_the_page(tmp_path):
    page = (folders.ROOT / "judge" / "view" / "page.html").read_text(encoding="utf-8")
    keys = set(re.findall("<kbd>(.+?)</kbd>", page.partition('id="help"')[2]))
    section = PAGE.partition("## Keys")[2].partition("##")[0]
    assert set(re.findall("`(.+?)`", section)) == keys
