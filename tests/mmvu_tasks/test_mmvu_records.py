"""Every quirk of the published file is read as a person reads it; what cannot be read is named."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from mmvu_sample import PUBLISHED, needs_published, pair, row, write

from judge.errors import UserError
from mmvu_tasks import location, records
from mmvu_tasks.categories import CATEGORIES, CONTENTS, EDITIONS, NAMES, edition_of
from mmvu_tasks.records import Record, parse_question

FOUR = ("one", "two", "three", "four")


@pytest.mark.parametrize(
    ("question", "stem", "options"),
    [
        ("Q?\nA. one\nB. two\nC. three\nD. four", "Q?", FOUR),
        ("Q?\nA.one\nB.two\nC.three\nD.four\n", "Q?", FOUR),
        ("Q? \n A. one \n\nB.  two\n  C. three\nD. four  ", "Q?", FOUR),
        ("Q?\nA. one\nD. four\nC. three\nB. two", "Q?", FOUR),  # out of order
        ("Q? A. one B. two C. three D. four", "Q?", FOUR),  # all on one line
        ("Q? A. one B two C three D. four", "Q?", FOUR),  # dots missing
        ("Q?\nA one\nB two\nC three\nD four", "Q?", FOUR),
        ("Q?\nA) one\n(B) two\nC: three\nD、four", "Q?", FOUR),
        ("Q?\r\nA. one\r\nB. two\r\nC. three\r\nD. four", "Q?", FOUR),
        ("Is A big?\nA. one\nB. two\nC. three\nD. four", "Is A big?", FOUR),
        ("A man, is he running?\nA. one\nB. two\nC. three\nD. four", "A man, is he running?", FOUR),
        ("Q?\nA. one,\nand more\nB. two\nC. three\nD. four", "Q?", ("one, and more", *FOUR[1:])),
        ("Q?\nA.-2.\nB.-6.\nC.4.\nD.2.", "Q?", ("-2.", "-6.", "4.", "2.")),
        ("Q?\nA. [0.1,0.5]\nB. [0.2,0.5]\nC. [0.3,0.5]\nD. [0.4,0.5]", "Q?",
         ("[0.1,0.5]", "[0.2,0.5]", "[0.3,0.5]", "[0.4,0.5]")),
        ("Q?\nA. same\nB. same\nC. three\nD. four", "Q?", ("same", "same", "three", "four")),
    ],
)  # fmt: skip
def test_options(question: str, stem: str, options: tuple[str, ...]) -> None:
    assert parse_question(question) == (stem, options)


@pytest.mark.parametrize(
    "question",
    ["", "Q?", "Q?\nA. one\nB. two\nC. three", "Q?\nA. one\nB.\nC. three\nD. four", "Q?\nA. 1\nA. 2\nB. 3\nC. 4\nD. 5"],
)
def test_no_options(question: str) -> None:
    assert parse_question(question) is None


@pytest.fixture(scope="module")
def published() -> list[Record]:
    return records.read_records(PUBLISHED)


@needs_published
class TestPublished:
    def test_counts(self, published: list[Record]) -> None:
        assert len(published) == 600
        assert [record.index for record in published] == list(range(600))
        assert Counter(record.question_type for record in published) == {"POS": 301, "NEG": 299}
        assert set(Counter(record.ground_truth for record in published).values()) == {150}
        assert records.pairs_per_category(published) == EDITIONS["v1"]
        # 40; 22+24+24+24+24+22; 22+21+31+24+22
        assert Counter(record.level for record in published) == {"character": 80, "attribute": 280, "context": 240}

    def test_every_question_has_four_options(self, published: list[Record]) -> None:
        rows = json.loads(PUBLISHED.read_bytes())
        for record, published_row in zip(published, rows, strict=True):
            assert record.question == published_row["question"]  # untouched
            assert len(record.options) == 4
            parsed = parse_question(record.question)
            assert parsed is not None
            assert parsed[0]
            # nothing lost: stem, options and four labels hold every word character of the question
            kept = parsed[0] + "".join(record.options) + "ABCD"
            assert Counter(filter(str.isalnum, kept)) == Counter(filter(str.isalnum, record.question))

    def test_options_are_the_lines(self, published: list[Record]) -> None:
        """An independent reading of 597 questions: the line that begins with a letter and a dot is that option."""
        one_line = []
        for record in published:
            lines = [line.strip() for line in record.question.splitlines()]
            found = {line[0]: " ".join(line[2:].split()) for line in lines if line[1:2] == "." and line[0] in "ABCD"}
            if len(found) < 4:
                one_line.append(record.index)
            else:
                assert record.options == tuple(found[letter] for letter in "ABCD"), record.index
        assert one_line == [404, 429, 491]

    @pytest.mark.parametrize(("index", "marks"), [(404, "A. B. C. D."), (429, "A. B. C. D."), (491, "A. B C D.")])
    def test_options_on_the_line_of_the_question(self, published: list[Record], index: int, marks: str) -> None:
        question = published[index].question
        parsed = parse_question(question)
        assert parsed is not None
        stem, options = parsed
        assert stem.endswith("?")
        labelled = [part for pair in zip(marks.split(), options, strict=True) for part in pair]
        assert " ".join(question.split()) == " ".join([stem, *labelled])

    def test_options_out_of_order(self, published: list[Record]) -> None:
        def letters(record: Record) -> str:
            starts = [line.strip()[:1] for line in record.question.splitlines()[1:]]
            return "".join(start for start in starts if start)

        out_of_order = [r.index for r in published if letters(r) not in ("ABCD", "")]
        assert out_of_order == [174, 219, 220, 221, 249, 254, 255, 359, 468, 480, 482, 552, 554]
        assert letters(published[552]) == "BACD"

    def test_spaces_before_letters(self, published: list[Record]) -> None:
        spaced = [
            r.index for r in published if any(line[:1] == " " and line.strip() for line in r.question.split("\n"))
        ]
        assert spaced == [125, 349, 360, 361, 390, 406, 451, 490, 517]

    def test_the_same_option_twice(self, published: list[Record]) -> None:
        twice = [record.index for record in published if len(set(record.options)) < 4]
        assert twice == [77]
        assert published[77].options[1] == published[77].options[2]
        assert published[77].ground_truth == "D"

    def test_numbers_and_boxes_are_whole(self, published: list[Record]) -> None:
        minus = published[550].options
        assert minus[0] == f"-{minus[3]}"
        boxes = [option for record in published for option in record.options if option.startswith("[")]
        assert boxes
        assert all(option.endswith("]") and option.count(",") == 3 for option in boxes)

    def test_the_pair_of_two_positives(self, published: list[Record]) -> None:
        types: dict[str, set[str]] = {}
        for record in published:
            types.setdefault(record.id, set()).add(record.question_type)
        assert [id_ for id_, found in types.items() if len(found) == 1] == ["attribute/number/04"]
        assert [(published[i].id, published[i].question_type) for i in (272, 273)] == [
            ("attribute/number/04", "POS"),
            ("attribute/number/04", "POS"),
        ]

    def test_no_order_within_pairs(self, published: list[Record]) -> None:
        first = Counter(a.question_type + b.question_type for a, b in zip(published[::2], published[1::2], strict=True))
        assert first == {"NEGPOS": 155, "POSNEG": 144, "POSPOS": 1}


REFUSED = [
    ([], "expected one JSON list of questions"),
    ({"id": "x"}, "expected one JSON list of questions"),
    ([pair()[0], 5], "record ? (index 1): expected an object"),
    ([row(id=None)], 'record ? (index 0): field "id": missing or not a string'),
    ([row(image=3)], 'record attribute/shape/07 (index 0): field "image": missing or not a string'),
    ([row(question="")], 'record attribute/shape/07 (index 0): field "question": missing'),
    ([row(question="Round?\nA. yes\nB. no")], 'record attribute/shape/07 (index 0): field "question": its options'),
    ([row(ground_truth="E")], """field "ground_truth": 'E' is none of A, B, C, D"""),
    ([row(question_type="pos")], """field "question_type": 'pos' is none of POS, NEG"""),
    ([row("shape/07")], 'record shape/07 (index 0): field "id": names no category; known: character/character'),
    ([*pair(), row()], 'record attribute/shape/07: field "id": duplicate id: more than one pair, at index 0, 1, 2'),
]


@pytest.mark.parametrize(("rows", "message"), REFUSED)
def test_refused(tmp_path: Path, rows: object, message: str) -> None:
    file = write(tmp_path, rows)  # type: ignore[arg-type]
    with pytest.raises(UserError) as caught:
        records.read_records(file)
    assert str(caught.value).startswith(str(file))
    assert message in str(caught.value)
    assert "→ " in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[", json.dumps(pair()).encode()[:-20], b"\xff\xfe[]", b"[" * 100_000])
def test_broken_files(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "MMR-benchmark.json"
    file.write_bytes(content)
    with pytest.raises(UserError, match="not valid JSON, probably cut off"):
        records.read_records(file)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        records.read_records(tmp_path / "MMR-benchmark.json")


def test_half_a_pair_is_no_pair(tmp_path: Path) -> None:
    found = records.read_records(write(tmp_path, [*pair(), row("attribute/number/01")]))
    assert records.pairs_per_category(found) == {"Shape": 1}


def test_editions() -> None:
    assert [sum(EDITIONS[name].values()) for name in ("v1", "CVPR")] == [300, 893]
    assert edition_of(EDITIONS["v1"], CONTENTS["v1"], from_hub=False) == ("v1", None)
    unseen = "size matches CVPR, content unknown: SHA-256 of ids and texts ab"
    assert edition_of(EDITIONS["CVPR"], "ab", from_hub=True) == ("CVPR", unseen)
    assert edition_of(EDITIONS["CVPR"], "ab", from_hub=False) == ("unknown (size matches CVPR)", unseen)
    one_less = {**EDITIONS["CVPR"], "Shape": 71}
    assert edition_of(one_less, "ab", from_hub=True) == (
        "unknown",
        "892 pairs: no published edition (v1 has 300, CVPR has 893); against CVPR: Shape 71 for 72",
    )
    moved = {**EDITIONS["v1"], "Shape": 23, "Number": 25}
    assert edition_of(moved, "ab", from_hub=True) == (
        "unknown (size matches v1)",
        "size matches v1, content differs; not in the same categories: Number 25 for 24, Shape 23 for 24",
    )
    assert edition_of({}, "ab", from_hub=False)[0] == "unknown"


@needs_published
@pytest.mark.parametrize("field", ["question", "id", "ground_truth", "question_type"])
def test_v1_with_one_word_changed_is_not_v1(tmp_path: Path, field: str) -> None:
    rows = json.loads(PUBLISHED.read_text())
    other = {"question": rows[0]["question"] + " ", "id": "character/character/x"}
    rows[0][field] = other.get(field) or next(one[field] for one in rows if one[field] != rows[0][field])
    write(tmp_path, rows)
    source = location.load_dataset(tmp_path).source
    assert source.edition.startswith("unknown")
    assert source.repo == "local"


@needs_published
def test_the_name_of_a_picture_and_the_layout_of_the_file_change_no_edition(tmp_path: Path) -> None:
    rows = [{**one, "image": one["image"].replace(".jpg", ".png")} for one in json.loads(PUBLISHED.read_text())]
    write(tmp_path, rows)
    assert location.load_dataset(tmp_path).source.edition == "v1"


def test_categories_are_twelve_on_three_levels() -> None:
    assert len(set(NAMES)) == 12
    assert Counter(category.level for category in CATEGORIES) == {"character": 1, "attribute": 6, "context": 5}
