"""A mix: what goes, what comes, and that it can be made again from hashes."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from judge import cli
from mmvu_tasks.train.mix import shares, source_of


def said(text):
    return [{"from": "human", "value": f"<image>\n{text}?"}, {"from": "gpt", "value": text}]


BASE = [{"id": f"b{n}", "image": f"{('coco', 'gqa', 'ocr_vqa')[n % 5 % 3]}/{n}.jpg", "conversations": said(f"base {n}")}
        for n in range(100)] + [{"id": f"t{n}", "conversations": said(f"text {n}")} for n in range(20)]  # fmt: skip
NEW = [{"id": f"n{n // 2}", "image": f"new/{n // 2}.jpg", "conversations": said(f"new {n}")} for n in range(60)]
# n % 5 % 3 of 0 to 4 is 0, 1, 2, 0, 1: 40 of coco, 40 of gqa, 20 of ocr_vqa, and 20 of text
SIZES = {"coco": 40, "gqa": 40, "ocr_vqa": 20, "text": 20}


@pytest.fixture
def mix(tmp_path, capfd):
    (tmp_path / "base.json").write_text(json.dumps(BASE))
    (tmp_path / "new.json").write_text(json.dumps(NEW, indent=2))

    def run(*more, base=tmp_path / "base.json", new=tmp_path / "new.json", out="mix"):
        code = cli.main(
            ["mmvu-data", "mix", str(base), "--new", str(new), "--out", str(tmp_path / out), *map(str, more)]
        )
        return code, *capfd.readouterr()

    return run


def read(folder):
    return json.loads((folder / "mixed.json").read_text())


def counts(rows):
    return Counter(source_of(row) for row in rows)


def test_replacing_keeps_the_size_and_the_proportions(mix, tmp_path):
    code, out, _ = mix("--replace", 24)
    assert code == 0
    rows = read(tmp_path / "mix")
    # 24 of 120: 8 of 40, 4 of 20
    assert counts(rows) == {"coco": 32, "gqa": 32, "ocr_vqa": 16, "text": 16, "new": 24}
    assert all(row in BASE or row in NEW for row in rows)
    assert len({json.dumps(row) for row in rows}) == 120
    assert "coco" in out
    manifest = json.loads((tmp_path / "mix" / "mix.json").read_text())
    assert (manifest["records"], manifest["replaced"], manifest["added"]) == (120, 24, 24)
    assert manifest["sources"]["text"] == {"before": 20, "after": 16}


@pytest.mark.parametrize(("amount", "records"), [("12", 132), ("10%", 132), ("0.1", 132), ("1", 121)])
def test_adding_takes_nothing_out(mix, tmp_path, amount, records):
    assert mix("--add", amount)[0] == 0
    rows = read(tmp_path / "mix")
    assert len(rows) == records
    assert all(row in rows for row in BASE)


def test_one_source_is_replaced_alone(mix, tmp_path):
    assert mix("--replace", 20, "--of", "text")[0] == 0
    assert counts(read(tmp_path / "mix")) == {"coco": 40, "gqa": 40, "ocr_vqa": 20, "new": 20}
    code, _, err = mix("--replace", 21, "--of", "text")
    assert code == 2
    assert "21 records are to be replaced, and there are 20" in err
    code, _, err = mix("--replace", 2, "--of", "llava")
    assert code == 2
    assert "one of coco (40), gqa (40), ocr_vqa (20), text (20)" in err
    assert mix("--add", 2, "--of", "text")[0] == 2


def test_shares_are_spread_by_largest_remainders():
    # 10 of 40, 40, 20, 20 of 120: 3.33, 3.33, 1.67, 1.67
    assert shares(SIZES, 10) == {"coco": 3, "gqa": 3, "ocr_vqa": 2, "text": 2}
    assert shares(SIZES, 120) == SIZES
    assert shares({"a": 1, "b": 1, "c": 1}, 2) == {"a": 1, "b": 1, "c": 0}


def test_the_choice_is_seeded_and_does_not_depend_on_the_order_of_the_files(mix, tmp_path):
    mix("--replace", 24)
    first = (tmp_path / "mix" / "mixed.json").read_bytes()
    chance = random.Random(3)
    for name, rows in (("base", BASE), ("new", NEW)):
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in chance.sample(rows, len(rows)))
        )
    mix("--replace", 24, base=tmp_path / "base.jsonl", new=tmp_path / "new.jsonl")
    assert (tmp_path / "mix" / "mixed.json").read_bytes() == first
    mix("--replace", 24, "--seed", 1)
    other = (tmp_path / "mix" / "mixed.json").read_bytes()
    assert other != first
    assert counts(json.loads(other)) == counts(json.loads(first))


def test_a_mix_is_made_again_from_its_manifest(mix, tmp_path):
    mix("--replace", 24, "--seed", 9)
    manifest = tmp_path / "mix" / "mix.json"
    (tmp_path / "more.json").write_text(json.dumps([*NEW[::-1], {"id": "x", "conversations": said("x")}]))
    code, out, _ = mix("--rebuild", manifest, new=tmp_path / "more.json", out="again")
    assert code == 0
    assert "120 records, as the manifest says" in out
    assert (tmp_path / "again" / "mixed.json").read_bytes() == (tmp_path / "mix" / "mixed.json").read_bytes()
    (tmp_path / "less.json").write_text(json.dumps(NEW[:-30]))
    code, _, err = mix("--rebuild", manifest, new=tmp_path / "less.json", out="third")
    assert code == 2
    assert "has not the record" in err
    assert not (tmp_path / "third").exists()
    lines = (tmp_path / "mix" / "mix.jsonl").read_text().splitlines()
    (tmp_path / "mix" / "mix.jsonl").write_text("\n".join(lines[::-1]) + "\n")
    code, _, err = mix("--rebuild", manifest, out="third")
    assert code == 2
    assert "and the manifest says" in err
    assert list((tmp_path / "third").iterdir()) == []  # nothing that looks like a mix


def test_a_mix_is_not_written_over_what_it_is_made_from(mix, tmp_path):
    mix("--replace", 24)
    before = (tmp_path / "mix" / "mixed.json").read_bytes()
    for given in ({"base": tmp_path / "mix" / "mixed.json"}, {"new": tmp_path / "mix" / "mixed.json"}):
        code, _, err = mix("--add", 1, **given)
        assert code == 2
        assert "mixed.json: would be written over" in err
    assert (tmp_path / "mix" / "mixed.json").read_bytes() == before


@pytest.mark.parametrize("how", [("--add", "1"), ("--rebuild", "mix.json")])
def test_a_source_is_for_replacing(mix, how):
    code, _, err = mix(*how, "--of", "coco")
    assert code == 2
    assert "--of is for --replace" in err


def test_a_record_that_stands_twice_stays_twice(mix, tmp_path):
    (tmp_path / "twice.json").write_text(json.dumps([BASE[0], *BASE]))
    assert mix("--add", 1, base=tmp_path / "twice.json")[0] == 0
    assert read(tmp_path / "mix").count(BASE[0]) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"messages": [{"role": "user", "content": "x"}]}]', 'record 1 is of another form: it has "messages"'),
        ('{"data": []}', "is one object, not a list of records"),
        ('[{"id": "7", "conversations": []}]', "record 1 has no conversations"),
        ('[{"id": "7", "conversations": [{"role": "user"}]}]', 'has a message without "from" and "value"'),
        ('[{"id": "7", "conversations": [{"from": "human", "value": "x"}]}, 7]', "record 2 is not a JSON object"),
        ('[{"id": "7", "conversations": [{"from": "human", "value": "x"}]}', "the file ends behind it"),
        ('[{"id": "7", "conversations": [{"from": "hum', "record 1 is not JSON"),
        ("", "holds no records"),
        ("[]", "holds no records"),
    ],
)
def test_a_base_of_another_form(mix, tmp_path, content, message):
    (tmp_path / "other.json").write_text(content)
    code, _, err = mix("--add", 1, base=tmp_path / "other.json")
    assert code == 2
    assert message in err
    assert not (tmp_path / "mix").exists()


def test_more_than_there_is(mix):
    code, _, err = mix("--replace", 61)
    assert code == 2
    assert "61 records wanted, and there are 60" in err
