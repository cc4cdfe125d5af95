"""The whole way with real models: a SYSTEM.toml, `mmjudge ask`, pictures drawn again, `mmjudge score`."""

import json

import pytest
import tiny_llava
import tiny_painter
from test_endpoint_models import Server, message

from judge import cli
from mmie_tasks.demo import demo_dir, judge_dir

pytest.importorskip("torch")
pytest.importorskip("diffusers")

MMIE = ("--benchmark", "mmie", "--data", str(demo_dir()))


@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    return tiny_painter.build(tmp_path_factory.mktemp("painter"))


def command(*words):
    return cli.main([str(word) for word in words])


def system(folder, painter, writer, batch_size):
    file = folder / "mine.toml"
    file.write_text(
        f'kind = "describe"\nmost_pictures = 2\n[writer]\n{writer}\n'
        f'[painter]\nkind = "diffusers"\nmodel = "{painter}"\ndevice = "cpu"\nsteps = 2\nbatch_size = {batch_size}\n'
    )
    return file


def test_asked_drawn_again_and_scored(tmp_path, painter):
    def reply(page, body, number):
        text = body["messages"][0]["content"][0]["text"].rpartition("The request:\n")[2]
        return message(
            f"See:\n<picture>{text[:40]}</picture>\nAnd <picture>a red cup\nDone.\n<picture>no more</picture>"
        )

    server = Server(reply)
    try:
        writer = f'kind = "endpoint"\naddress = "{server.address}"\nmodel = "w"'
        out = tmp_path / "out"
        asked = ("--limit", 4, "--out", out)
        assert command("ask", system(tmp_path, painter, writer, 3), *MMIE, *asked) == 0
        lines = {line["id"]: line for line in map(json.loads, (out / "responses.jsonl").read_text().splitlines())}
        assert len(lines) == 4
        for line in lines.values():
            assert [bool(part["image"]) for part in line["response"]] == [True, True, False]
            assert line["response"][1]["prompt"] == "a red cup"
            assert line["response"][2]["text"] == "Done."
        before = {path: path.read_bytes() for path in (out / "pictures").iterdir()}
        assert len(before) == 8
        for path in sorted(before)[:2]:
            path.unlink()
        # in batches of another size, and without a question to the writer
        assert command("ask", system(tmp_path, painter, writer, 1), *MMIE, *asked) == 0
        assert len(server.asked) == 4
        assert {path: path.read_bytes() for path in (out / "pictures").iterdir()} == before
    finally:
        server.http.shutdown()
        server.http.server_close()
    results = tmp_path / "results"
    judged = ("--judge", judge_dir(), "--partial", "--device", "cpu", "--out", results, "--max-unscored", 1)
    assert command("score", out / "responses.jsonl", *MMIE, *judged) == 0
    assert json.loads((results / "results.json").read_text())["n"] == 4


def test_a_transformers_model_is_asked_and_scored(tmp_path, painter):
    model = tiny_llava.build(tmp_path / "llava")
    writer = f'kind = "transformers"\nmodel = "{model}"\ndevice = "cpu"\nmax_new_tokens = 8\nbatch_size = 2'
    out = tmp_path / "out"
    assert command("ask", system(tmp_path, painter, writer, 1), *MMIE, "--limit", 3, "--out", out) == 0
    lines = [json.loads(line) for line in (out / "responses.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    assert all(line["response"] for line in lines)  # noise, but said
