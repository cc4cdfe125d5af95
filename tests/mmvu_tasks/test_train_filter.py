"""What of constructed data is kept, what trainers read, and that nothing of the test set gets into it."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter

import pytest
from PIL import Image

from judge import cli
from mmvu_tasks.demo import demo_dir
from mmvu_tasks.records import from_rows, parse_question, read_records
from mmvu_tasks.train.filter import capped
from mmvu_tasks.train.forms import Shape, llava_rows, load_rows, questions_of
from mmvu_tasks.train.pairs import NEG, POS, PairedRecord, Turn, read_pairs
from mmvu_tasks.train.wording import AUTHORS, REFUSALS, Likenesses, likeness, question_type, refusal, words

OPTIONS = ("It is red.", "It is blue.", "It is green.", "It is grey.")
THINGS = ("cup", "star", "kite", "boat", "lamp", "drum", "leaf", "hat")


def record(id_, things=THINGS[:2], answer="It is red.", image=None):
    return PairedRecord(
        id_, image or f"{id_}.png",
        tuple(Turn(f"Which colour has the {thing} of {id_}?", answer, OPTIONS) for thing in things),
        tuple(Turn(f"Is the {thing} of {id_} not purple at all?", answer, OPTIONS) for thing in things),
    )  # fmt: skip


def write(folder, *records):
    folder.mkdir(exist_ok=True)
    (folder / "pairs.jsonl").write_text("".join(json.dumps(record.to_json()) + "\n" for record in records))
    chance = random.Random(7)
    for number, name in enumerate(sorted({record.image for record in records})):
        picture = Image.new("RGB", (64, 64), (200, 200, 200))
        for _ in range(12):
            x, y = chance.randrange(56), chance.randrange(56)
            picture.paste((number * 20 % 255, chance.randrange(256), 10), (x, y, x + 8, y + 8))
        if not (folder / name).exists():
            picture.save(folder / name)
    return folder


@pytest.fixture
def run(tmp_path, capfd):
    """`mmjudge mmvu-data filter` in this process: (exit code, stdout, stderr)."""

    def run(source, *more):
        leaks = [] if {"--data", "--no-leak-check"} & set(more) else ["--no-leak-check"]
        code = cli.main(["mmvu-data", "filter", str(source), "--out", str(tmp_path / "out"), *leaks, *map(str, more)])
        return code, *capfd.readouterr()

    return run


def rows(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def reasons(out):
    return Counter(row["reason"] for row in rows(out / "dropped.jsonl"))


@pytest.mark.parametrize(
    ("answer", "authors", "ours"),
    [
        ("I'm sorry, I do not know.", "sorry", "sorry"),
        ("Sorry.", None, "sorry"),  # the authors tell upper and lower case apart
        ("i cannot see it", None, "I cannot"),
        ("I can’t see it", "I can't", "I can't"),  # a curly apostrophe
        ("That is not mentioned.", None, "not mentioned"),
        ("It is visible.", None, None),
        ("The dog is not visible.", "is not visible", "is not visible"),
    ],
)
def test_refusals(answer, authors, ours):
    assert refusal(answer, AUTHORS, any_case=False) == authors
    assert refusal(answer, REFUSALS) == ours


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Is there a bowl of food on the counter?", "presence"),
        ("What is the man wearing?", "attribute"),
        ("How many people are in the kitchen?", "number_position"),
        ("Where is the sink located in the kitchen?", "number_position"),
        ("What are the people doing?", "activity"),
        ("Which emotion does the woman show?", "knowledge"),
        ("Really?", "other"),
    ],
)
def test_types_of_questions(question, kind):
    assert question_type(question) == kind


def test_likeness_is_the_jaccard_index():
    # {is, there, a, red, cup} and {is, there, a, blue, cup}: 4 of 6
    assert likeness(words("Is there a red cup?"), words("is there a BLUE cup")) == pytest.approx(4 / 6)
    assert likeness((), ()) == 1


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_prefixes_find_what_comparing_all_with_all_finds(threshold):
    chance = random.Random(int(threshold * 10))
    vocabulary = [f"w{number}" for number in range(30)]
    texts = [
        tuple(chance.choices(vocabulary[: chance.choice((6, 12, 30))], k=chance.randrange(1, 14))) for _ in range(400)
    ]
    fast, kept = Likenesses(threshold, Counter(word for text in texts for word in set(text))), []
    found = 0
    for number, text in enumerate(texts):
        alike = [other for other in kept if likeness(text, texts[other]) >= threshold]
        like = fast.add_unless_like(text, str(number))
        assert (like is None) == (not alike)
        if like is None:
            kept.append(number)
        else:
            assert int(like) in alike
            found += 1
    assert found > 5


def test_a_refusal_takes_its_partner_along(tmp_path, run):
    one = record("a", THINGS[:3])
    bad = PairedRecord("b", "b.png", one.positives, (*one.negatives[:2], Turn("Is it?", "Sorry, not provided.")))
    code, out, _ = run(write(tmp_path / "made", one, bad), "--repeats", 9, "--form", "llava")
    assert code == 0
    assert "5 positive and 5 negative questions" in out
    assert reasons(tmp_path / "out") == {"refusal": 1}
    (row,) = rows(tmp_path / "out" / "dropped.jsonl")
    assert (row["id"], row["number"], row["sign"]) == ("b", 2, None)
    assert [len(found.matched) for found in read_pairs(tmp_path / "out" / "pairs.jsonl")] == [3, 2]


def test_the_authors_way_drops_one_question_and_leaves_its_partner(tmp_path, run):
    one = record("a")
    positives = (one.positives[0], Turn("Where is it?", "I cannot tell."))
    negatives = (Turn("Is it there?", "It is not provided."), Turn("Is it not?", "Sorry, no."))
    both = PairedRecord("b", "b.png", (Turn("Who?", "I cannot say"),), (Turn("Who else?", "not provided"),))
    source = write(tmp_path / "made", PairedRecord("a", "a.png", positives, negatives), both)
    code, out, _ = run(source, "--authors", "--form", "llava")
    assert code == 0
    assert "1 positive and 1 negative questions" in out  # "Sorry" is not "sorry"
    (kept,) = read_pairs(tmp_path / "out" / "pairs.jsonl")
    assert (kept.positives, kept.negatives) == ((one.positives[0],), (negatives[1],))
    assert kept.matched == ()  # one of each is left, and they do not belong together
    assert sorted((row["id"], row["number"], row["sign"]) for row in rows(tmp_path / "out" / "dropped.jsonl")
                  if row["id"] == "a") == [("a", 0, "NEG"), ("a", 1, "POS")]  # fmt: skip


def test_near_duplicates_within_a_picture_and_across_pictures(tmp_path, run):
    one = record("a", THINGS[:2])
    twice = PairedRecord("b", "b.png", (*record("b").positives, record("b").positives[0]),
                         (*record("b").negatives, Turn("Something else entirely?", "It is red.", OPTIONS)))  # fmt: skip
    copies = [PairedRecord(f"c{n}", f"c{n}.png", one.positives, one.negatives) for n in range(4)]
    run(write(tmp_path / "made", one, twice, *copies), "--form", "llava")
    found = [(row["id"], row["reason"]) for row in rows(tmp_path / "out" / "dropped.jsonl")]
    # three pictures may have a pair: a, c0 and c1
    assert found == [("b", "near_duplicate"), *[("c2", "duplicate_across")] * 2, *[("c3", "duplicate_across")] * 2]
    run(tmp_path / "made", "--form", "llava", "--repeats", 9)
    assert reasons(tmp_path / "out") == {"near_duplicate": 1}


def test_questions_without_a_partner_go_where_balance_is_wanted(tmp_path, run):
    lone = PairedRecord("b", "b.png", (), record("b").negatives)
    source = write(tmp_path / "made", record("a"), lone)
    assert "2 positive and 4 negative questions" in run(source)[1]
    assert "2 positive and 2 negative questions" in run(source, "--balance")[1]
    assert reasons(tmp_path / "out") == {"unpaired": 2}


def test_no_type_has_more_than_its_share(tmp_path, run):
    assert capped({"presence": 100, "attribute": 50, "other": 50}, {"presence": 0.2}) == {
        "presence": 25, "attribute": 50, "other": 50}  # 25 of 125  # fmt: skip
    assert capped({"presence": 100, "attribute": 100, "other": 100}, {"presence": 0.3, "attribute": 0.3}) == {
        "presence": 75, "attribute": 75, "other": 100}  # 75 of 250  # fmt: skip
    assert capped({"presence": 5, "other": 5}, {}) == {"presence": 5, "other": 5}
    counting = [PairedRecord(f"n{n}", f"n{n}.png", (Turn(f"How many {thing}s in {n}?", "It is red.", OPTIONS),),
                             (Turn(f"Are {thing}s in {n} many?", "It is red.", OPTIONS),)) for n, thing in
                enumerate(THINGS)]  # fmt: skip
    source = write(tmp_path / "made", record("a"), *counting)
    # 2 of attributes are left, so 2 of numbers may be
    assert "4 positive and 4 negative questions" in run(source, "--most", "number_position=50%")[1]
    kept = (tmp_path / "out" / "pairs.jsonl").read_bytes()
    run(source, "--most", "number_position=50%")
    assert (tmp_path / "out" / "pairs.jsonl").read_bytes() == kept
    run(source, "--most", "number_position=50%", "--seed", 5)
    assert (tmp_path / "out" / "pairs.jsonl").read_bytes() != kept


def test_pictures_and_questions_of_the_test_set_are_not_written(tmp_path, run):
    pytest.importorskip("imagehash")
    tests = read_records(demo_dir() / "MMR-benchmark.json")
    source = write(tmp_path / "made", *(record(id_) for id_ in ("same", "near", "asked", "clean")))
    published = demo_dir() / "MMR-benchmark-images" / tests[0].image
    shutil.copy(published, source / "same.png")
    with Image.open(demo_dir() / "MMR-benchmark-images" / tests[10].image) as picture:
        picture.convert("RGB").resize((200, 200)).save(source / "near.png", "JPEG", quality=60)
    asked = record("asked")
    stem = parse_question(tests[0].question)[0]
    leaking = PairedRecord("asked", "asked.png", (Turn(stem.upper() + "!", "It is red.", OPTIONS), asked.positives[1]),
                           asked.negatives)  # fmt: skip
    rest = [record(id_) for id_ in ("same", "near", "clean")]
    gone = record("gone")
    write(source, *rest, leaking)
    with (source / "pairs.jsonl").open("a") as file:
        file.write(json.dumps(gone.to_json()) + "\n")
    code, _, err = run(source, "--data", demo_dir())
    assert code == 0, err
    assert [found.id for found in read_pairs(tmp_path / "out" / "pairs.jsonl")] == ["clean", "asked"]
    notes = {(row["id"], row["reason"]): row["note"] for row in rows(tmp_path / "out" / "dropped.jsonl")}
    assert notes["same", "leak"] == f"the picture of {tests[0].id}"
    assert notes["near", "leak"].startswith(f"the picture of {tests[10].id}, ")
    assert notes["asked", "leak"] == f"the question of {tests[0].id}"
    assert notes["gone", "picture"] == "image 'gone.png' is not below the image root"
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["test_set"]["questions"] == len({words(parse_question(test.question)[0]) for test in tests})
    for name in ("llava.json", "choice.jsonl", "trl.jsonl", "llamafactory.jsonl"):
        assert "same" not in (tmp_path / "out" / name).read_text()


@pytest.mark.parametrize("more", [[], ["--authors"]])
def test_a_question_of_the_test_set_does_not_stay_as_the_partner_of_a_refusal(tmp_path, run, more):
    pytest.importorskip("imagehash")
    stem = parse_question(read_records(demo_dir() / "MMR-benchmark.json")[0].question)[0]
    mine = record("asked")
    refused = Turn(mine.positives[0].question, "Sorry, I cannot tell.")
    leaking = PairedRecord("asked", "asked.png", (refused, mine.positives[1]),
                           (Turn(stem, "It is red.", OPTIONS), mine.negatives[1]))  # fmt: skip
    source = write(tmp_path / "made", leaking)
    code, _, err = run(source, "--data", demo_dir(), *more)
    assert code == 0, err
    assert [(row["number"], row["reason"], row["sign"]) for row in rows(tmp_path / "out" / "dropped.jsonl")] == [
        (0, "leak", None)
    ]
    (kept,) = read_pairs(tmp_path / "out" / "pairs.jsonl")
    assert kept.negatives == mine.negatives[1:]


def test_a_broken_picture_of_the_test_set_is_an_error_that_names_it(tmp_path, run):
    pytest.importorskip("imagehash")
    shutil.copytree(demo_dir(), tmp_path / "tests")
    test = read_records(demo_dir() / "MMR-benchmark.json")[0]
    picture = tmp_path / "tests" / "MMR-benchmark-images" / test.image
    picture.write_bytes(picture.read_bytes()[: picture.stat().st_size // 2])
    code, _, err = run(write(tmp_path / "made", record("a")), "--data", tmp_path / "tests")
    assert code == 2
    assert f"{test.id} (index {test.index})" in err
    assert not (tmp_path / "out").exists()


def test_pictures_that_are_compared_by_bytes_alone(tmp_path, run):
    pytest.importorskip("imagehash")
    source = write(tmp_path / "made", record("same"), record("near"))
    first, second = (demo_dir() / "MMR-benchmark-images" / test.image
                     for test in read_records(demo_dir() / "MMR-benchmark.json")[:20:10])  # fmt: skip
    shutil.copy(first, source / "same.png")
    with Image.open(second) as picture:
        picture.convert("RGB").save(source / "near.png", "JPEG", quality=95)
    assert run(source, "--data", demo_dir(), "--hash-distance", -1)[0] == 0
    assert [found.id for found in read_pairs(tmp_path / "out" / "pairs.jsonl")] == ["near"]
    assert "pictures by SHA-256 alone, questions" in (tmp_path / "out" / "README.md").read_text()


def test_nothing_left_is_no_success(tmp_path, run):
    refused = (Turn("Which colour has the cup?", "Sorry."), Turn("Which colour has the hat?", "Sorry."))
    code, _, err = run(write(tmp_path / "made", PairedRecord("a", "a.png", refused, refused)))
    assert code == 2
    assert "pairs.jsonl: nothing is left of it (refusal 2)" in err
    assert "dropped.jsonl says why" in err


def test_without_the_test_set_nothing_is_written_unless_that_is_wanted(tmp_path, run):
    source = write(tmp_path / "made", record("a"))
    code, _, err = run(source, "--data", tmp_path / "nothing")
    assert code == 2
    assert "--no-leak-check" in err
    assert not (tmp_path / "out").exists()
    assert "not compared with MMVU's test set" in run(source)[1]
    assert "**It was not checked" in (tmp_path / "out" / "README.md").read_text()


def test_the_authors_form_has_two_records_of_one_id_without_options():
    positive, negative = llava_rows(record("a"))
    assert (positive["id"], negative["id"], positive["image"]) == ("a", "a", "a.png")
    assert [message["from"] for message in positive["conversations"]] == ["human", "gpt"] * 2
    assert positive["conversations"][0] == {"from": "human", "value": "<image>\nWhich colour has the cup of a?"}
    assert "<image>" not in positive["conversations"][2]["value"]
    assert len(list(llava_rows(PairedRecord("a", "a.png", (), record("a").negatives)))) == 1


def test_the_multiple_choice_form_is_the_test_sets(tmp_path, run):
    source = write(tmp_path / "made", *(record(id_, THINGS) for id_ in "abcdefgh"))
    run(source, "--form", "choice", "--repeats", 9)
    found = rows(tmp_path / "out" / "choice.jsonl")
    assert len(found) == 8 * 8 * 2
    # the reader of the test set takes it, once ids name a category
    named = [{**row, "id": f"attribute/color&texture/{row['id']}"} for row in found]
    read = from_rows(named, tmp_path / "choice.jsonl")
    right = [one.options["ABCD".index(one.ground_truth)] for one in read]
    assert set(right) == {"It is red."}
    assert all(sorted(one.options) == sorted(OPTIONS) for one in read)
    letters = Counter(one.ground_truth for one in read)
    assert min(letters.values()) > 15  # of 128, a quarter is 32
    assert Counter(one.question_type for one in read) == {"POS": 64, "NEG": 64}


def test_chat_forms_are_what_trl_and_llamafactory_read(tmp_path, run):
    datasets = pytest.importorskip("datasets")
    source = write(tmp_path / "made", record("a"), record("b"))
    run(source, "--form", "trl", "--form", "llamafactory")
    out = tmp_path / "out"
    loaded = load_rows(out / "trl.jsonl", source)
    assert loaded.column_names == ["id", "question_type", "images", "prompt", "completion"]
    assert loaded[0]["images"][0].size == (64, 64)
    prompt, completion = loaded[0]["prompt"][0], loaded[0]["completion"][0]
    assert prompt["content"].endswith("\nAnswer with the option's letter from the given choices directly.")
    assert (prompt["role"], completion["role"], completion["content"] in "ABCD") == ("user", "assistant", True)
    (said,) = [
        row
        for row in rows(out / "llamafactory.jsonl")
        if row["id"] == "a#0" and "Which" in row["messages"][0]["content"]
    ]
    assert said["messages"][0]["content"] == f"<image>{prompt['content']}"
    assert said["images"] == ["a.png"]
    info = json.loads((out / "dataset_info.json").read_text())["mmvu_train"]
    assert info["columns"] == {"messages": "messages", "images": "images"}
    run(source, "--form", "trl", "--answers", "text")
    assert {row["completion"][0]["content"] for row in rows(out / "trl.jsonl")} == {"It is red."}
    assert len(datasets.load_dataset(str(out), "trl", split="train")) == 8  # by the head of README.md


def test_trl_takes_the_rows():
    data_utils = pytest.importorskip("trl.data_utils")
    (asked, *_) = questions_of(record("a"), Shape())
    message = {"role": "user", "content": asked.prompt}
    (prepared,) = data_utils.prepare_multimodal_messages([message], images=["PICTURE"])
    assert [part["type"] for part in prepared["content"]] == ["image", "text"]


def test_questions_without_options_have_no_multiple_choice_form(tmp_path, run):
    free = PairedRecord("a", "a.png", (), (Turn("Is there a dog?", "No."),))
    source = write(tmp_path / "made", free)
    code, _, err = run(source, "--form", "choice")
    assert code == 2
    assert "record a#0: a question without options" in err
    run(source, "--form", "trl")
    assert rows(tmp_path / "out" / "trl.jsonl")[0]["prompt"][0]["content"] == "Is there a dog?"


def test_the_card_counts_and_hashes(tmp_path, run):
    from hashlib import sha256

    source = write(tmp_path / "made", record("a"), record("b", THINGS[:5]))
    run(source)
    out = tmp_path / "out"
    card = json.loads((out / "card.json").read_text())
    assert card["counts"] == {"records": 2, "pictures": 2, "POS": 7, "NEG": 7, "pairs": {"2": 1, "5": 1},
                              "types": {"attribute": {"n": 7, "share": 1.0}}}  # fmt: skip
    assert card["source"]["sha256"] == sha256((source / "pairs.jsonl").read_bytes()).hexdigest()
    assert {name: said["sha256"] for name, said in card["files"].items()} == {
        name: sha256((out / name).read_bytes()).hexdigest() for name in card["files"]
    }
    forms = {"llava.json", "choice.jsonl", "trl.jsonl", "llamafactory.jsonl", "dataset_info.json"}
    assert set(card["files"]) == {"pairs.jsonl", "README.md", *forms}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "a", "image": "a.png"}\n{"id": "a", "image": "a.png"}', "stands twice, at line 1 and line 2"),
        ('{"id": "a", "image": 7}', 'line 1 is no paired record: no text under "image"'),
        (
            '{"id": "a", "image": "a.png", "conversations-neg": [{"from": "gpt", "value": "x"}]}',
            "line 1 is no paired record: conversations-neg: 1 messages",
        ),
    ],
)  # fmt: skip
def test_a_file_of_another_form(tmp_path, run, line, said):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "pairs.jsonl").write_text(line + "\n")
    code, _, err = run(tmp_path / "made")
    assert code == 2
    assert said in err
    assert not (tmp_path / "out" / "pairs.jsonl").exists()


def test_what_is_filtered_is_not_written_over(tmp_path, run):
    source = write(tmp_path / "out", record("a"))
    before = (source / "pairs.jsonl").read_bytes()
    code, _, err = run(source)
    assert (code, (source / "pairs.jsonl").read_bytes()) == (2, before)
    assert "would be written over" in err


def test_unpaired_is_kept_in_the_file(tmp_path):
    lone = PairedRecord("a", "a.png", record("a").positives[:1], record("a").negatives[1:], paired=False)
    write(tmp_path / "made", lone)
    (read,) = read_pairs(tmp_path / "made" / "pairs.jsonl")
    assert read == lone
    assert {POS, NEG, "unpaired"} < lone.to_json().keys()
