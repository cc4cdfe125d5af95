"""Judge folders that were damaged, by accident or on purpose: each is refused in one error, or says what it is.

A few mutants of three folders in every run; `FUZZ_MUTANTS=2000` makes so many of each.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import shutil
import struct

import pytest
import torch
from mutants import damage_bytes, damage_json, mutants, no_hang, replace_file

from judge.errors import UserError
from judge.model import conversation
from judge.model.weights import checkpoint, hf_layout, original_layout, shapes, source
from mmie_tasks.demo import judge_dir

DESCRIBING = ("config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model")
INDEX = "model.safetensors.index.json"
PROMPT = "### Answer\nA square 你好.\n"


def answer(folder):
    """(what a signature holds of the judge, its logits); everything that reads a folder is called on the way."""
    found = source.resolve_judge(str(folder))
    described = original_layout.read_layout(folder)
    tokenizer = conversation.read_tokenizer(folder, described.text["vocab_size"])
    assert checkpoint.check_weights(folder, described) > 0
    model = checkpoint.load_model(folder)
    ids = [i for i in tokenizer.encode_trusted(PROMPT) + tokenizer.encode_untrusted(PROMPT) if i < 500]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids or [1]])).logits
    return (found.revision, checkpoint.weights_sha256(folder)), logits


def damage_weights(random, data):
    """Another header of the right length, or other bytes."""
    (length,) = struct.unpack("<Q", data[:8])
    if random.randrange(2):
        header = damage_json(random, data[8 : 8 + length].decode()).encode("utf-8", "surrogatepass")
        return struct.pack("<Q", len(header)) + header + data[8 + length :]
    return damage_bytes(random, data[: 8 + length]) + data[8 + length :]


def damage_folder(random, folder):
    """Damage one file of a folder; its name is returned."""
    names = sorted(file.name for file in folder.iterdir() if file.suffix == ".safetensors" or file.name == INDEX)
    path = folder / random.choice([*(name for name in DESCRIBING if (folder / name).exists()), *names])
    data = path.read_bytes()
    if random.randrange(10) == 0:
        replace_file(random, path)
        return path.name
    path.unlink()
    if path.suffix == ".safetensors":
        path.write_bytes(damage_weights(random, data))
    elif path.suffix == ".json":
        path.write_text(damage_json(random, data.decode()), encoding="utf-8", errors="surrogatepass")
    else:
        path.write_bytes(damage_bytes(random, data))
    return path.name


@pytest.fixture(scope="module")
def bases(golden_folder, tmp_path_factory):
    """The recorded judge in two shards, the demo's in one, and the recorded one with the older tokenizer files."""
    root = tmp_path_factory.mktemp("bases")
    shutil.copytree(golden_folder / "tiny-internvl2", root / "recorded")
    shutil.copytree(judge_dir(), root / "demo")
    shutil.copytree(root / "recorded", root / "older")
    file = root / "older" / "tokenizer_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    del config["added_tokens_decoder"]
    file.write_text(json.dumps(config), encoding="utf-8")
    return root


@pytest.mark.parametrize(("name", "few"), [("recorded", 60), ("demo", 20), ("older", 30)])
def test_a_damaged_folder_is_refused_or_known_to_be_another(bases, tmp_path, name, few):
    base = bases / name
    identity, logits = answer(base)
    outcomes, wrong = collections.Counter(), []
    for seed, random in mutants(few):
        folder = tmp_path / str(seed) / name
        shutil.copytree(base, folder, copy_function=os.link)  # damage unlinks before it writes
        damaged = damage_folder(random, folder)
        try:
            with no_hang():
                there, changed = answer(folder)
        except UserError as error:
            outcomes["refused"] += 1
            if str(folder) not in str(error):
                wrong.append(f"seed {seed}: {damaged}: names no file: {error}")
        except BaseException as error:
            wrong.append(f"seed {seed}: {damaged}: {type(error).__name__}: {str(error)[:200]}")
        else:
            same = torch.equal(logits, changed) if logits.shape == changed.shape else False
            outcomes["same" if there == identity else "another"] += 1
            if there == identity and not same:
                wrong.append(f"seed {seed}: {damaged}: other logits under the same signature")
        shutil.rmtree(folder.parent)
    print(name, dict(outcomes), len(wrong))
    assert wrong == []
    assert outcomes["refused"] > 0
    assert outcomes["another"] > 0


def test_a_damaged_native_folder_is_refused_or_described(golden_folder, tmp_path):
    """Of the layout that transformers loads, which `mmjudge convert` reads."""
    stored, base = golden_folder / "tiny-internvl2", tmp_path / "base"
    base.mkdir()
    hf_layout.write_native_description(stored, original_layout.read_layout(stored), base, "bfloat16")
    outcomes, wrong = collections.Counter(), []
    for seed, random in mutants(80):
        folder, written = tmp_path / str(seed), tmp_path / f"{seed}-written"
        shutil.copytree(base, folder, copy_function=os.link)
        written.mkdir()
        path = folder / random.choice(["config.json", "config.json", "tokenizer_config.json", "tokenizer.model"])
        data = path.read_bytes()
        path.unlink()
        damage = damage_json(random, data.decode()).encode("utf-8", "surrogatepass") if path.suffix == ".json" else b""
        path.write_bytes(damage or damage_bytes(random, data))
        try:
            with no_hang():
                hf_layout.write_original_description(folder, written)
                original_layout.read_layout(written)
            outcomes["described"] += 1
        except UserError:
            outcomes["refused"] += 1
        except BaseException as error:
            wrong.append(f"seed {seed}: {path.name}: {type(error).__name__}: {str(error)[:200]}")
        shutil.rmtree(folder)
        shutil.rmtree(written)
    print("native", dict(outcomes), len(wrong))
    assert wrong == []
    assert outcomes["refused"] > 0
    assert outcomes["described"] > 0


def rewrite_header(folder, edit):
    """Change the header of the second shard as `edit` does; its data stays."""
    file = folder / "model-00002-of-00002.safetensors"
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    entries = json.loads(data[8 : 8 + length])
    edit(entries)
    new = json.dumps(entries).encode()
    file.write_bytes(struct.pack("<Q", len(new)) + new + data[8 + length :])


def bias(folder, **parts):
    rewrite_header(folder, lambda entries: entries[BIAS].update(parts))


def index(folder, text):
    (folder / INDEX).write_text(text)


def fifo(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)


def length(folder, value):
    with (folder / SHARD).open("r+b") as file:
        file.write(struct.pack("<Q", value))


def sparse(folder, name):
    with (folder / name).open("ab") as file:
        file.truncate(10 * 2**30)


BIAS, SHARD = "mlp1.0.bias", "model-00002-of-00002.safetensors"
HUGE = "has 10,737,418,240 bytes, and at most"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        *((lambda f, n=name: fifo(f, n), f"{name}: is not a regular file") for name in (*DESCRIBING, INDEX, SHARD)),
        (lambda f: index(f, '{"weight_map": 0}'), f'{INDEX}: field "weight_map": is 0, not an object'),
        (lambda f: index(f, '{"weight_map": {"a": ["b"]}}'), f'{INDEX}: field "weight_map.a": names files outside'),
        *(
            (
                lambda f, n=name: index(f, json.dumps({"weight_map": {"a": n}})),
                f'names files outside the folder: "{name}"',
            )
            for name in ("/etc/passwd", "../b.safetensors", "config.json", "")
        ),
        (lambda f: index(f, '{"a": 1, "a": 2}'), f"{INDEX}: cannot be read as JSON: the name 'a' twice"),
        (lambda f: index(f, '{"a": NaN}'), f"{INDEX}: cannot be read as JSON: NaN is no number"),
        (lambda f: index(f, '{"a": 1e999}'), f"{INDEX}: cannot be read as JSON: 1e999 is too large"),
        (lambda f: index(f, '{"a": "\\ud800"}'), f"{INDEX}: cannot be read as JSON: 'utf-8' codec can't encode"),
        (lambda f: index(f, "[" * 100_000), f"{INDEX}: cannot be read as JSON: it is nested too deeply"),
        (lambda f: sparse(f, INDEX), f"{INDEX}: {HUGE} 16,777,216 are read"),
        (lambda f: sparse(f, "config.json"), f"config.json: {HUGE} 67,108,864 are read"),
        (lambda f: sparse(f, "tokenizer.model"), f"tokenizer.model: {HUGE} 67,108,864 are read"),
        (lambda f: sparse(f, SHARD), "of weights: 10737418240 bytes instead of 476304"),
        (lambda f: length(f, 2**40), "header would have 1,099,511,627,776 of 476,304 bytes"),
        (lambda f: length(f, 476_304), "header would have 476,304 of 476,304 bytes"),
        (lambda f: rewrite_header(f, lambda entries: entries.update({BIAS: 1})), f"{BIAS} is given as 1, not by dtype"),
        (lambda f: bias(f, shape=[2**62, 2**62]), f"data_offsets of {BIAS} are ["),
        (lambda f: bias(f, shape=[1.5]), f"{BIAS} is given as"),
        (lambda f: bias(f, data_offsets=[-1, 5]), f"{BIAS} is given as"),
        (lambda f: bias(f, data_offsets=[0, 256]), "data_offsets of "),
        (lambda f: bias(f, dtype="I8"), "of weights: it holds I8"),
        (
            lambda f: rewrite_header(f, lambda e: e.update({"__metadata__": {"format": 1}})),
            f"{SHARD}: is not a safetens",
        ),
    ],
)
def test_what_a_folder_says_is_compared_with_its_bytes(bases, tmp_path, spoil, message):
    folder = tmp_path / "judge"
    shutil.copytree(bases / "older", folder)
    spoil(folder)
    with no_hang(), pytest.raises(UserError) as error:
        answer(folder)
    assert message in str(error.value)


def test_a_million_layers_are_counted_not_built(golden_folder):
    described = original_layout.read_layout(golden_folder / "tiny-internvl2")
    text = {**described.text, "num_hidden_layers": 10**6}
    many = dataclasses.replace(described, raw={**described.raw, "llm_config": text})
    # a layer: qkv 3·64·64, o 64·64, gate and up 2·160·64, down 160·64, two norms of 64
    layer = 3 * 64 * 64 + 64 * 64 + 2 * 160 * 64 + 160 * 64 + 2 * 64
    with no_hang():
        assert shapes.count_parameters(many) == shapes.count_parameters(described) + (10**6 - 3) * layer
        with pytest.raises(
            UserError, match=r'field "llm_config.num_hidden_layers": is 1000000, and the weights have 3'
        ):
            checkpoint.check_weights(golden_folder / "tiny-internvl2", many)
