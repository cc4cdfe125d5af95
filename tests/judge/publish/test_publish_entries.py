"""Merging into what others wrote: theirs stays, ours appears once, and nobody's number is overwritten."""

from __future__ import annotations

import re
import sys
import types

import folders
import pytest
import runs
import yaml
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import UserError
from judge.publish import entries, model_index
from judge.results.run_folder import read_run
from mmvu_tasks.benchmark import BENCHMARK

ENTRIES = ".eval_results/mmvu.yaml"
FOREIGN = """\
# kept by hand, please
- dataset: {id: cais/hle, task_id: default}   # another benchmark
  value: 20.90
  evaluation_framework: hle
  notes: "no-tools"
"""


def entry(
    value=60.0, *, task="mmvu_v1_ra", source="https://hf.co/datasets/org/details", signature="benchmark:mmvu|v:1"
):
    made = {"dataset": {"id": runs.REPO, "task_id": task}, "value": value, "notes": f"RA; signature: {signature}"}
    if source:
        made["source"] = {"url": source, "name": "mmjudge"}
    return made


@pytest.mark.parametrize("text", [None, "", "\n", "# nothing yet\n"])
def test_the_first_entry(text):
    merged = entries.merge_entries(text, [entry()], ENTRIES)
    assert yaml.safe_load(merged) == [entry()]


def test_what_others_wrote_stays_byte_for_byte():
    merged = entries.merge_entries(FOREIGN, [entry()], ENTRIES)
    assert merged.startswith(FOREIGN)
    assert yaml.safe_load(merged) == [*yaml.safe_load(FOREIGN), entry()]


@pytest.mark.parametrize(
    "text", [FOREIGN.replace("\n", "\n\n"), FOREIGN.rstrip(), "[{dataset: {id: a, task_id: b}, value: 1}]"]
)
def test_other_layouts_keep_their_content(text):
    merged = entries.merge_entries(text, [entry()], ENTRIES)
    assert yaml.safe_load(merged) == [*yaml.safe_load(text), entry()]


def test_nothing_to_do_changes_no_byte():
    once = entries.merge_entries(FOREIGN, [entry(), entry(25.0, task="mmvu_v1_mr")], ENTRIES)
    assert entries.merge_entries(once, [entry(), entry(25.0, task="mmvu_v1_mr")], ENTRIES) == once
    assert entries.merge_entries(once, [entry()], ENTRIES) == once


def test_our_earlier_number_is_replaced_in_its_place():
    there = yaml.safe_dump([entry(55.0), yaml.safe_load(FOREIGN)[0]])
    assert yaml.safe_load(entries.merge_entries(there, [entry()], ENTRIES)) == [entry(), yaml.safe_load(FOREIGN)[0]]


def test_a_replay_of_another_file_is_measured_alike():
    old = entry(55.0, signature="benchmark:mmie|judge:x|feedback:aaaa")
    new = entry(56.0, signature="benchmark:mmie|judge:x|feedback:bbbb")
    assert yaml.safe_load(entries.merge_entries(yaml.safe_dump([old]), [new], ENTRIES)) == [new]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (entry(55.0, source="https://hf.co/datasets/somebody/else"), "has a number by another source already"),
        (entry(60.0, source="https://hf.co/datasets/somebody/else"), "ours: https://hf.co/datasets/org/details"),
        (entry(55.0, source=None), "another source already: none named"),
        (entry(55.0, signature="benchmark:mmvu|v:2"), "measured differently: v: 2 there, 1 here"),
        (entry(55.0, signature="other:mmvu"), "a number without a signature of ours"),
        ({**entry(55.0), "notes": "no tools"}, "a number without a signature of ours"),
        ({**entry(55.0), "notes": 7}, "a number without a signature of ours"),
    ],
)
def test_a_number_of_another_is_never_overwritten(other, says):
    with pytest.raises(UserError) as raised:
        entries.merge_entries(FOREIGN + yaml.safe_dump([other]), [entry()], ENTRIES)
    assert says in str(raised.value)
    assert f"{ENTRIES}: {runs.REPO} / mmvu_v1_ra" in str(raised.value)


def test_two_numbers_of_one_task_are_nobodys_to_choose_from():
    there = yaml.safe_dump([entry(), entry(55.0, source="https://hf.co/datasets/somebody/else")])
    with pytest.raises(UserError, match="another source"):
        entries.merge_entries(there, [entry()], ENTRIES)


@pytest.mark.parametrize("text", ["a: b", "- 1", "- [", "'", "- {value: 1}", "- dataset: x", "&a [*a]", "\x00"])
def test_files_that_are_no_entries(text):
    with pytest.raises(UserError) as raised:
        entries.merge_entries(text, [entry()], ENTRIES)
    assert str(raised.value).startswith(f"{ENTRIES}: is not ")


def test_the_same_task_in_another_file_is_in_the_way():
    files = {".eval_results/all.yaml": FOREIGN + yaml.safe_dump([entry(55.0)]), ".eval_results/broken.yaml": "- ["}
    with pytest.raises(UserError, match=r"all\.yaml: has an entry for .* / mmvu_v1_ra already"):
        entries.refuse_elsewhere(files, [entry()])
    entries.refuse_elsewhere(files, [entry(task="mmvu_v1_mr")])


def test_the_other_file_on_the_hub(hub, publish):
    hub.repos["model", "org/net"].branches["main"][".eval_results/all.yaml"] = yaml.safe_dump([entry()]).encode()
    code, _, err = publish("--push", "--details", "org/details")
    assert code == 2
    assert ".eval_results/all.yaml: has an entry for" in err
    assert hub.writes == []


plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
foreign = st.fixed_dictionaries(
    {"dataset": st.fixed_dictionaries({"id": plain, "task_id": plain}), "value": st.integers() | plain},
    optional={"notes": plain, "date": st.dates(), "source": st.fixed_dictionaries({"url": plain}), "extra": plain},
)


@given(there=st.lists(foreign, max_size=4), flow=st.booleans())
def test_whatever_is_there_is_kept_and_merging_again_changes_nothing(there, flow):
    text = yaml.safe_dump(there, allow_unicode=True, default_flow_style=flow)
    merged = entries.merge_entries(text, [entry()], ENTRIES)
    assert yaml.safe_load(merged) == [*there, entry()]
    assert entries.merge_entries(merged, [entry()], ENTRIES) == merged


README = """\
---
license: mit   # as the weights
tags: [a, "b"]
---

# Net

---
model-index: not here
"""


@pytest.fixture
def result(folder):
    return model_index.build_result(read_run(folder), BENCHMARK, "https://hf.co/datasets/org/details")


def metadata(text):
    return yaml.safe_load(text.replace("\r\n", "\n").split("---\n")[1])


def test_the_index_says_edition_interval_and_signature(result):
    assert result["dataset"] == {"type": runs.REPO, "name": "MMVU (edition v1)", "revision": runs.REVISION}
    first = result["metrics"][0]
    assert (first["type"], first["name"], first["value"], first["args"]["n"]) == ("ra", "RA", 60.0, 300)
    assert first["args"]["interval"] == [54.3637, 65.3835]  # Wilson for 180 of 300: 59.8736 -+ 5.5099
    assert first["args"]["signature"].startswith("benchmark:mmvu|edition:v1|")
    assert result["source"] == {"url": "https://hf.co/datasets/org/details", "name": "mmjudge"}


def test_the_rest_of_the_readme_stays_byte_for_byte(result):
    merged = model_index.merge_result(README, result, "net")
    head, tail = README.split("---\n\n")
    assert merged.startswith(head + "model-index:\n- name: net\n")
    assert merged.endswith("---\n\n" + tail)
    assert metadata(merged)["model-index"] == [{"name": "net", "results": [result]}]
    assert model_index.merge_result(merged, result, "net") == merged


@pytest.mark.parametrize("text", [None, "", "# Net\n", "---\n---\n# Net\n"])
def test_a_readme_without_metadata(result, text):
    merged = model_index.merge_result(text, result, "net")
    assert metadata(merged) == {"model-index": [{"name": "net", "results": [result]}]}
    assert merged.endswith("# Net\n" if text else "---\n")


def test_windows_line_ends_stay(result):
    merged = model_index.merge_result(README.replace("\n", "\r\n"), result, "net")
    assert merged.replace("\r\n", "\n") == model_index.merge_result(README, result, "net")
    assert merged.count("\n") == merged.count("\r\n")


def test_results_of_others_stay_and_ours_join_them(result):
    others = {"task": {"type": "t"}, "dataset": {"type": "d", "name": "D"}, "metrics": [{"type": "acc", "value": 1}]}
    index = yaml.safe_dump({"model-index": [{"name": "Net-7B", "results": [others]}]})
    text = f"---\nlicense: mit\n{index}# a comment\ntags: [a]\n---\nbody\n"
    merged = model_index.merge_result(text, result, "net")
    assert metadata(merged) == {
        "license": "mit",
        "model-index": [{"name": "Net-7B", "results": [others, result]}],
        "tags": ["a"],
    }
    assert merged.endswith("# a comment\ntags: [a]\n---\nbody\n")


def test_an_earlier_state_is_replaced_and_anothers_is_not(result):
    metrics = [{**metric, "value": 1.0} for metric in result["metrics"]]
    earlier = {**result, "metrics": metrics}
    there = model_index.merge_result(README, earlier, "net")
    assert metadata(model_index.merge_result(there, result, "net"))["model-index"][0]["results"] == [result]
    for foreign in (
        {**earlier, "source": {"url": "https://hf.co/datasets/somebody/else"}},
        {**earlier, "metrics": [{"type": "ra", "value": 1.0}]},
    ):
        with pytest.raises(UserError, match=r"README\.md: model-index: MMVU \(edition v1\) has"):
            model_index.merge_result(model_index.merge_result(README, foreign, "net"), result, "net")


@pytest.mark.parametrize(
    "block", ["- a", "a: [", "model-index: 7", "model-index: [7]", "model-index:\n- name: a\n  results: [1]"]
)
def test_metadata_that_cannot_be_read(result, block):
    with pytest.raises(UserError, match=r"README\.md"):
        model_index.merge_result(f"---\n{block}\n---\n", result, "net")


def test_metadata_that_cannot_be_edited(result):
    # one flow mapping over several lines: a line cannot be added to it
    with pytest.raises(UserError, match="cannot be edited line by line"):
        model_index.merge_result("---\n{license: mit,\n tags: [a]}\n---\n", result, "net")


def test_the_entry_in_the_documentation_is_one_we_make(folder):
    document = (folders.ROOT / "docs" / "publishing.md").read_text()
    (shown,) = yaml.safe_load(re.search(r"```yaml\n(.*?)```", document, re.DOTALL)[1])
    made = entries.build_entries(read_run(folder), BENCHMARK, "https://huggingface.co/datasets/ORG/mmjudge-details")[0]
    assert list(shown) == list(made)
    assert list(shown["dataset"]) == list(made["dataset"])
    assert list(shown["source"]) == list(made["source"])
    numbers = re.compile(r"[\d.]+")
    assert numbers.sub("0", shown["notes"].partition("signature")[0].replace("CVPR", "v1")) == numbers.sub(
        "0", made["notes"].partition("signature")[0]
    )


def test_an_old_huggingface_hub_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", types.ModuleType("huggingface_hub"))
    with pytest.raises(UserError, match="has no EvalResultEntry"):
        entries.build_entries(read_run(folder), BENCHMARK, None)
