"""Tuning with TRL: what is learned, to the token; what a run writes; recipes; what is refused."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("trl", reason="the train extra is not installed")
torch = pytest.importorskip("torch")

import tiny_llava  # noqa: E402
import transformers  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: E402

from judge import cli  # noqa: E402
from judge.errors import UserError  # noqa: E402
from mmvu_tasks.train import tuning  # noqa: E402
from mmvu_tasks.train.conversations import make_dataset, read_conversations  # noqa: E402
from mmvu_tasks.train.launch import launch_dir  # noqa: E402
from mmvu_tasks.train.tuning_recipe import TuningRecipe, read_tuning_recipe  # noqa: E402

PARTS = (
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<image>{% endif %}{% endfor %}"
)
TEMPLATE = (
    "{% for message in messages %}[{{ message['role'] }}]{% if message['role'] == 'assistant' %}OPEN" + PARTS + "</s>"
    "CLOSE{% else %}" + PARTS + "{% endif %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
PLAIN = TEMPLATE.replace("OPEN", "").replace("CLOSE", "")
MARKED = TEMPLATE.replace("OPEN", "{% generation %}").replace("CLOSE", "{% endgeneration %}")
LLAVA = [
    {
        "id": 7, "image": "a.png", "conversations": [
            {"from": "human", "value": "<image>\nHow many bowls?"}, {"from": "gpt", "value": "Four."},
            {"from": "human", "value": "Is <image> one?"}, {"from": "gpt", "value": "No."},
        ],
    },
    {"id": "8", "image": "sub/b.png", "conversations": [
        {"from": "human", "value": "What?\n<image>"}, {"from": "gpt", "value": "A long answer."}]},
]  # fmt: skip
TRL = [
    {"id": "7#0", "images": ["a.png"], "prompt": [{"role": "user", "content": "How many bowls?"}],
     "completion": [{"role": "assistant", "content": "Four."}]},
    {"id": "8#0", "images": ["sub/b.png"], "prompt": [{"role": "user", "content": "What?"}],
     "completion": [{"role": "assistant", "content": "A long answer."}]},
]  # fmt: skip


def build_base(folder, template):
    tiny_llava.build(folder)
    processor = AutoProcessor.from_pretrained(folder)
    processor.chat_template = template
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {name: build_base(folder / name, text) for name, text in (("plain", PLAIN), ("marked", MARKED))}


@pytest.fixture
def data(tmp_path):
    (tmp_path / "sub").mkdir()
    for number, name in enumerate(("a.png", "sub/b.png")):
        Image.new("RGB", (30, 20), (90 * number, 40, 200)).save(tmp_path / name)
    (tmp_path / "mixed.json").write_text(json.dumps(LLAVA))
    (tmp_path / "trl.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TRL))
    return tmp_path / "mixed.json"


def recipe_of(base, data, **changes) -> TuningRecipe:
    keys = {
        "base": str(base), "data": str(data), "out": str(data.parent / "out"), "train": "connector+lora", "rank": 2,
        "alpha": 4, "dropout": 0.0, "max_steps": 2, "total_batch": 2, "batch": 2, "lr": 1e-2, "dtype": "float32",
        "gradient_checkpointing": False,
    }  # fmt: skip
    return TuningRecipe(**{**keys, **changes})


# What is learned

ASKED_1 = [("[user]", 0), ("<image>", 0), ("How many bowls?", 0), ("[assistant]", 0)]
ROWS = {
    "marked": [
        [*ASKED_1, ("Four.</s>", 1), ("[user]Is < image > one?[assistant]", 0), ("No.</s>", 1)],
        [("[user]", 0), ("<image>", 0), ("What?[assistant]", 0), ("A long answer.</s>", 1)],
    ],
    "plain": [
        [*ASKED_1, ("Four.</s>", 1)],
        [*ASKED_1, ("Four.</s>[user]Is < image > one?[assistant]", 0), ("No.</s>", 1)],
        [("[user]", 0), ("<image>", 0), ("What?[assistant]", 0), ("A long answer.</s>", 1)],
    ],
}
"""Parts of each row, and whether they are learned: written by hand from the templates above."""


def expected_row(parts, vocabulary):
    """(ids, labels): a token a character, a picture of 28 by 28 pixels in patches of 14 is four tokens."""
    ids, labels = [], []
    for text, learned in parts:
        if text == "<image>":
            found = [vocabulary["<image>"]] * 4
        else:
            head, end, tail = text.partition("</s>")
            found = [vocabulary[character.replace(" ", "Ġ")] for character in head]
            found += [vocabulary["</s>"]] * bool(end)
            found += [vocabulary[character.replace(" ", "Ġ")] for character in tail]
        ids += found
        labels += found if learned else [-100] * len(found)
    return ids, labels


@pytest.mark.parametrize("name", ["marked", "plain"])
def test_answers_are_learned_and_nothing_else(name, bases, data, monkeypatch):
    seen = {}

    class StoppedError(Exception):
        pass

    def train(trainer, **arguments):
        rows = [trainer.train_dataset[number] for number in range(len(trainer.train_dataset))]
        seen["batch"] = trainer.data_collator(rows)
        trainer.model.eval()
        seen["loss"] = trainer.compute_loss(trainer.model, dict(seen["batch"]))
        seen["logits"] = AutoModelForImageTextToText.from_pretrained(bases[name])(
            **{key: value for key, value in seen["batch"].items() if key != "labels"}
        ).logits
        raise StoppedError

    monkeypatch.setattr(tuning.trl.SFTTrainer, "train", train)
    with pytest.raises(StoppedError):
        tuning.tune_model(recipe_of(bases[name], data))
    vocabulary = AutoProcessor.from_pretrained(bases[name]).tokenizer.get_vocab()
    batch = seen["batch"]
    assert len(batch["input_ids"]) == len(ROWS[name])
    for ids, mask, labels, parts in zip(
        batch["input_ids"], batch["attention_mask"], batch["labels"], ROWS[name], strict=True
    ):
        wanted_ids, wanted_labels = expected_row(parts, vocabulary)
        assert ids[mask == 1].tolist() == wanted_ids
        assert labels[mask == 1].tolist() == wanted_labels
        assert set(labels[mask == 0].tolist()) <= {-100}
    # the loss is the mean of -log p over the learned tokens, each predicted from what stands before it
    log_p = seen["logits"].log_softmax(-1)
    terms = [
        -log_p[row, column - 1, token]
        for row, labels in enumerate(batch["labels"].tolist())
        for column, token in enumerate(labels)
        if token != -100
    ]
    # learned: "Four." 5 + 1, "No." 3 + 1, "A long answer." 14 + 1
    assert len(terms) == 6 + 4 + 15
    torch.testing.assert_close(seen["loss"], sum(terms) / len(terms), rtol=1e-5, atol=1e-6)


def test_both_forms_of_data_say_the_same(data):
    llava, trl = (read_conversations(data.parent / name, data.parent) for name in ("mixed.json", "trl.jsonl"))
    assert [one.id for one in llava] == ["7", "8"]
    assert [one.turns[0] for one in llava] == [one.turns[0] for one in trl]
    assert [one.pictures for one in llava] == [one.pictures for one in trl]
    assert make_dataset(trl, whole=True)[1]["images"][0].size == (30, 20)
    # three answers: a row each, or two conversations
    assert (len(make_dataset(llava, whole=False)), len(make_dataset(llava, whole=True))) == (3, 2)


# What a run writes


def changed_tensors(before, after):
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert ours.keys() == theirs.keys()
    return {name for name in ours if not torch.equal(ours[name], theirs[name])}


def test_connector_and_adapters_learn_and_are_merged(bases, data, tmp_path, capsys):
    out = tmp_path / "out"
    recipe = ["mmvu-train", "recipes/mmvu_stage2.toml"]
    command = [*recipe, "--data", str(data), "--base", str(bases["marked"]), "--out", str(out)]
    small = ["rank=2", "alpha=4", "total_batch=4", "batch=2", "epochs=0", "max_steps=3", "dtype=float32", "lr=0.01",
             "trainer.dataloader_num_workers=0", "save_every=2", "gradient_checkpointing=false"]  # fmt: skip
    assert cli.main([*command, *(word for one in small for word in ("--set", one))]) == 0
    said = capsys.readouterr().out
    about = json.loads((out / "training.json").read_text())
    # two layers: rank 2 beside q, k, v, o (32 x 32) and gate, up, down (32 x 32) is 2 · 64 numbers each; the connector
    # has 32 · 32 + 32 twice, and peft keeps its original beside the one that learns
    assert about["trainable"] == 2 * 7 * 2 * 64 + 2 * (32 * 32 + 32)
    assert f"2 conversations in 2 rows; {about['trainable']:,} of " in said
    # "Four.</s>" 6, "No.</s>" 4, "A long answer.</s>" 15
    assert "; 25 of " in said
    assert "stop token" not in said
    assert (about["steps"], about["rows"], about["learned"]) == (3, 2, "turns")
    assert {path.name for path in out.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-3"}

    merged = tmp_path / "merged"
    assert cli.main(["merge", str(bases["marked"]), str(out / "adapter"), "--weight", "1", "--out", str(merged)]) == 0
    changed = changed_tensors(bases["marked"], merged)
    # B of LoRA starts at 0 and three steps move it: all seven matrices of two layers, four tensors of the connector
    assert len(changed) == 2 * 7 + 4
    assert all("_proj" in name or "multi_modal_projector" in name for name in changed)
    AutoModelForImageTextToText.from_pretrained(merged)

    # interrupted after two steps, it goes on to the same weights
    whole = load_file(out / "adapter" / "adapter_model.safetensors")
    (out / "training.json").unlink()
    for name in ("checkpoint-3", "adapter"):
        shutil.rmtree(out / name)
    assert cli.main([*command, *(word for one in small for word in ("--set", one)), "--resume"]) == 0
    again = load_file(out / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert cli.main([*command, *(word for one in small for word in ("--set", one)), "--resume"]) == 2
    assert "training.json: is finished" in capsys.readouterr().err


@pytest.mark.parametrize(("train", "expected"), [("connector", 4), ("all", None)])
def test_a_whole_model_is_written_where_there_are_no_adapters(train, expected, bases, data, tmp_path):
    about = tuning.tune_model(recipe_of(bases["plain"], data, train=train))
    changed = changed_tensors(bases["plain"], tmp_path / "out" / "model")
    assert about["learned"] == "answers, a row each"
    if expected:
        assert len(changed) == expected
        assert all("multi_modal_projector" in name for name in changed)
    else:
        assert {"language_model.lm_head.weight", "multi_modal_projector.linear_1.weight"} <= changed
        assert any(name.startswith("vision_tower") for name in changed)
    processor = AutoProcessor.from_pretrained(tmp_path / "out" / "model")
    assert processor.chat_template == PLAIN


# Any model of transformers

FAMILIES = {
    "LlavaConfig": ["model.multi_modal_projector"],
    "LlavaNextConfig": ["model.multi_modal_projector"],
    "LlavaOnevisionConfig": ["model.multi_modal_projector"],
    "Qwen2VLConfig": ["model.visual.merger"],
    "Qwen2_5_VLConfig": ["model.visual.merger"],
    "Qwen3VLConfig": ["model.visual.merger"],
    "InternVLConfig": ["model.multi_modal_projector"],
    "Idefics3Config": ["model.connector"],
    "SmolVLMConfig": ["model.connector"],
    "Gemma3Config": ["model.multi_modal_projector"],
    "Mistral3Config": ["model.multi_modal_projector"],
}


@pytest.mark.parametrize("family", FAMILIES)
def test_connector_and_language_layers_are_found(family):
    config = getattr(transformers, family)()
    for part in (config.get_text_config(), config.vision_config):
        for name in ("num_hidden_layers", "depth"):
            if hasattr(part, name):
                setattr(part, name, 2)
        for name in ("layer_types", "fullatt_block_indexes", "deepstack_visual_indexes"):
            if getattr(part, name, None):
                setattr(part, name, list(getattr(part, name))[:1] if name != "layer_types" else part.layer_types[:2])
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    assert tuning.find_connector(model, ()) == FAMILIES[family]
    targets = tuning.find_targets(model, ())
    assert len(targets) == 2 * 7
    assert all(".layers." in name and "vis" not in name for name in targets)
    assert len(tuning.find_targets(model, ["q_proj"])) == 2


# Recipes


@pytest.mark.parametrize(
    ("stage", "batch", "rate", "train", "zero"),
    [(1, 256, 1e-5, "connector", 2), (2, 128, 2e-4, "connector+lora", 3)],
)
def test_recipes_are_those_of_table_3(stage, batch, rate, train, zero):
    """Supplement to arXiv 2406.10638, Table 3: batch, lr, schedule, warm-up, decay, epochs, optimizer, DeepSpeed."""
    from accelerate.commands.config.config_args import load_config_from_file

    recipe = read_tuning_recipe(f"mmvu_stage{stage}.toml", [], {"base": "b", "data": "d", "out": "o"})
    assert (recipe.total_batch, recipe.lr, recipe.train) == (batch, rate, train)
    assert (recipe.schedule, recipe.warmup, recipe.weight_decay, recipe.epochs) == ("cosine", 0.03, 0.0, 1)
    assert recipe.optimizer == "adamw_torch"
    # 8 GPUs of 8 rows: 64 at once
    assert recipe.accumulation(8) == batch // 64
    launch = load_config_from_file(str(launch_dir() / f"zero{zero}.yaml"))
    assert launch.deepspeed_config["zero_stage"] == zero
    assert launch.mixed_precision == "bf16"
    assert load_config_from_file(str(launch_dir() / "gpus.yaml")).distributed_type.value == "MULTI_GPU"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "epoch=1"], 'field "epoch": is not a key of a recipe\n→ keys are base, data, out'),
        (["--set", "max_steps=3"], 'field "max_steps": and epochs: exactly one must be above 0'),
        (["--set", "total_batch=100"], 'field "total_batch": is 100, and 1 devices take 8 rows each at once'),
        (["--set", "trainer.packing=true"], 'field "trainer.packing": is set from the recipe\'s own keys'),
        (["--set", "trainer.nonsense=1"], 'field "trainer": trl refuses the arguments'),
        (["--set", "lr=fast"], "field \"lr\": is 'fast': "),
        (["--set", "train=connector", "--set", 'targets=["q_proj"]'], 'field "targets": are LoRA\'s, and train is'),
        (["--base", "nowhere/at all"], "nowhere/at all: no such folder"),
        (["--set", 'targets=["qkv_proj"]', "--set", "batch=2"], "has no linear layers qkv_proj"),
        (["--set", 'connector=["bridge"]', "--set", "batch=2"], "the model has no module bridge"),
        (["--set", "max_length=6", "--set", "batch=2"], 'field "max_length": is 6, and a picture is cut off'),
        (["--set", "max_length=12", "--set", "batch=2"], 'field "max_length": a row has no token to learn'),
    ],
)
def test_recipes_that_are_refused(words, said, bases, data, tmp_path, capsys):
    command = ["mmvu-train", "recipes/mmvu_stage2.toml", "--data", str(data), "--base", str(bases["marked"])]
    assert cli.main([*command, "--out", str(tmp_path / "out"), *words]) == 2
    assert said in capsys.readouterr().err


def test_what_is_not_given_is_asked_for(data, capsys):
    assert cli.main(["mmvu-train", "recipes/mmvu_stage2.toml", "--data", str(data)]) == 2
    assert 'field "base": is missing\n→ give --base' in capsys.readouterr().err


# Data


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "holds no conversation"),
        ('[{"id": "1", "image": "gone.png", "conversations": [%s]}]', "gone.png: "),
        ('[{"id": "1", "image": "broken.png", "conversations": [%s]}]', "broken.png: "),
        ('[{"id": "1", "image": "../a.png", "conversations": [%s]}]', "../a.png: "),
        ('[{"id": "1", "image": 3, "conversations": [%s]}]', 'no name of a picture under "image"'),
        ('[{"id": "1", "messages": []}]', "is no conversation: it is not a list of messages"),
        ('[{"id": "1", "conversations": [{"from": "gpt", "value": "A"}, {"from": "human", "value": "Q"}]}]',
         "message 1 is from 'gpt', not 'human'"),
        ('[{"id": "1", "conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": " "}]}]',
         "the answer to 'Q' is empty"),
        ('[{"id": "1", "prompt": "Q", "completion": "A"}]', 'no list of messages under "prompt"'),
        ('{"a": 1', "is not JSON"),
    ],
)  # fmt: skip
def test_data_that_is_refused(text, said, data):
    (data.parent / "broken.png").write_bytes(b"no picture")
    turns = '{"from": "human", "value": "<image>\\nQ"}, {"from": "gpt", "value": "A"}'
    file = data.parent / "bad.json"
    file.write_text(text.replace("%s", turns))
    with pytest.raises(UserError) as refused:
        read_conversations(file, data.parent)
    assert said in str(refused.value)
    assert str(file) in str(refused.value)


def test_another_file_of_data_does_not_go_on(bases, data, tmp_path):
    recipe = recipe_of(bases["marked"], data, save_every=1, max_steps=1)
    tuning.tune_model(recipe)
    (tmp_path / "out" / "training.json").unlink()
    data.write_text(json.dumps(LLAVA[:1]))
    with pytest.raises(UserError, match="was started with another data_sha256"):
        tuning.tune_model(recipe, resume=True)
    with pytest.raises(UserError, match="holds an earlier run\n→ go on with --resume"):
        tuning.tune_model(recipe)
