"""Answers and references of multi-step reasoning, and what a rule says of them: the table is the specification."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmie_tasks.exact import MOST_WORDS, NO_RULE, READ, RULES, check_exact, read_options
from mmie_tasks.records import Part, Record

LINES = "Which one?\nA. Sunny\nB. Rainy\nC. Cloudy\nD. Windy"
INLINE = "Hint: give the letter.\nQuestion: is it (A) or what?\nChoices:\n(A) 3\n(B) 4.5\n(C) 12"
TWO = "Does it rise?\nChoices:\n(A) No\n(B) Yes"
THIRDS = r"Which share? (A) $\frac{1}{2}$ (B) $\frac{1}{3}$ (C) $\frac{1}{4}$"
SIX = "Pick. (A) red (B) green (C) blue (D) pink (E) grey (F) black"


def record(reference, question="What is it?", category="MSR", image=None):
    return Record(f"{category}-1", category, None, (Part(question, None),), (Part(reference, image),))


# (reference, question, answer, right, rule, what was read)
TABLE = (
    # letters: the shared extraction
    ("B", LINES, "B", True, "letter", "B"),
    ("B", LINES, "The answer is (B).", True, "letter", "B"),
    ("B", LINES, "**B. Rainy**", True, "letter", "B"),
    ("B", LINES, "It is rainy, as clouds gather.", True, "letter", "B"),
    ("B", LINES, "A man is running, so D.", False, "letter", "D"),
    ("B", LINES, "I cannot tell.", False, "letter", None),
    ("(B)", LINES, "Not A, but B.", True, "letter", "B"),
    ("B.", LINES, "C", False, "letter", "C"),
    ("B. Rainy", LINES, "b", True, "letter", "B"),
    ("Rainy", LINES, "B", True, "letter", "B"),  # a reference that is an option's text
    ("rainy", LINES, "Option C", False, "letter", "C"),
    ("4.5", INLINE, "(B)", True, "letter", "B"),
    ("4.5", INLINE, "4.5", True, "letter", "B"),
    ("C", INLINE, "The answer is C.", True, "letter", "C"),
    ("Yes", TWO, "B", True, "letter", "B"),
    ("Yes", TWO, "Yes", True, "letter", "B"),
    ("No", TWO, "Yes.", False, "letter", "B"),
    ("F", SIX, "The answer is F", True, "letter", "F"),
    ("E", SIX, "grey", True, "letter", "E"),
    ("D", "Which panel?", "D", True, "letter", "D"),  # no list of options: any letter may be meant
    ("D", "Which panel?", "It is panel B.", False, "letter", None),
    # integers: what truncates to them, as MathVista's int(float(…))
    ("0", "How many?", "0", True, "number", "0"),
    ("0", "How many?", "There are 0 cars.", True, "number", "0"),
    ("0", "How many?", "zero", True, "number", "zero"),
    ("21", "How many?", "21.7", True, "number", "21.7"),  # int(21.7) is 21
    ("21", "How many?", "20.9", False, "number", "20.9"),  # int(20.9) is 20
    ("22", "How many?", "21.7", False, "number", "21.7"),  # truncated, not rounded
    ("-3", "How many?", "The answer is −3.", True, "number", "-3"),
    ("-3", "How many?", "-3.9", True, "number", "-3.9"),  # towards zero
    ("3", "How many?", "-3", False, "number", "-3"),
    ("1,200", "How many?", "1200", True, "number", "1200"),
    ("1200", "How many?", "about 1,200 people", True, "number", "1,200"),
    ("7", "How many?", "First 3, then 4. The total is 7.", True, "number", "7"),
    ("7", "How many?", "3 + 4 = 7 apples, out of 10", True, "number", "7"),
    ("7", "How many?", "Step 1: 3\nStep 2: 4\n7", True, "number", "7"),
    ("7", "How many?", "<think>maybe 9</think> 7", True, "number", "7"),
    ("7", "How many?", r"So $3+4=\boxed{7}$, not 8.", True, "number", "7"),
    ("7", "How many?", '{"answer": "7", "confidence": 9}', True, "number", "7"),
    ("7", "How many?", "I cannot see the picture.", False, "number", None),
    ("7", "How many?", "", False, "number", None),
    ("7", "How many?", "seven", True, "number", "seven"),
    ("50%", "Which share?", "50", True, "number", "50"),
    ("$5", "What does it cost?", "It costs $5", True, "number", "5"),
    ("5 cm", "How long?", "The answer is 5 cm.", True, "number", "5"),
    ("The answer is 5.", "How long?", "5", True, "number", "5"),
    # numbers that an answer does not give
    ("7", "How many?", "The answer is not 7.", False, "number", None),
    ("7", "How many?", "It is not 5 but 7.", True, "number", "7"),
    ("7", "How many?", "The answer is 7, not 8.", True, "number", "7"),
    ("1", "How many?", "1,2,3", False, "number", None),
    ("1", "How many?", "1,5", False, "number", None),
    ("1", "How many?", "1e9999", False, "number", None),
    ("5", "How many?", "5.5.5", False, "number", None),
    ("5", "How many?", "5^2", False, "number", None),
    ("2", "How long?", r"$2\sqrt{3}$", False, "number", None),
    ("1", "How many?", "No one can tell.", False, "number", None),
    ("1", "How many?", "There is one.", True, "number", "one"),
    ("5", "How many?", "five hundred", False, "number", None),
    ("2", "How many?", "In figure A2 there are two cars", True, "number", "two"),
    ("5 3", "Which two?", "5", False, "text", "5"),
    ("10 m^2", "What area?", "10 m²", True, "number", "10"),
    # LaTeX
    (r"$\frac{1}{3}$", THIRDS, "(B)", True, "letter", "B"),
    ("B", THIRDS, r"$\frac{1}{3}$", True, "letter", "B"),
    ("B", THIRDS, r"\boxed{\frac{1}{2}}", False, "letter", "A"),
    ("1", "Which share?", r"\boxed{\frac{1}{2}}", False, "number", "1/2"),
    ("2", "Which share?", r"It is $\frac{1}{2}$", False, "number", "1/2"),
    (r"\frac{1}{2}", "Which share?", "0.5", True, "number", "0.5"),
    ("0.5", "Which share?", r"$\dfrac12$", True, "number", "1/2"),
    ("90", "Which angle?", r"$90^{\circ}$", True, "number", "90"),
    (r"90^\circ", "Which angle?", "90 degrees", True, "number", "90"),
    ("1200", "How many?", r"\boxed{1{,}200}", True, "number", "1,200"),
    (r"\sqrt{2}", "How long?", "2", False, "text", "2"),
    (r"\sqrt{2}", "How long?", r"\boxed{\sqrt{2}}", True, "text", "√2"),
    # decimals: what rounds to them at their own decimals, as MathVista's round(float(…), precision)
    ("21.60", "How much?", "21.6", True, "number", "21.6"),
    ("21.60", "How much?", "21.604", True, "number", "21.604"),  # 21.60
    ("21.60", "How much?", "21.606", False, "number", "21.606"),  # 21.61
    ("21.60", "How much?", "21.59", False, "number", "21.59"),
    ("21.60", "How much?", "The value is 21.60 dollars.", True, "number", "21.60"),
    ("0.5", "How much?", "1/2", True, "number", "1/2"),
    ("0.5", "How much?", ".54", True, "number", ".54"),  # rounds to 0.5
    ("3/4", "Which share?", "0.75", True, "number", "0.75"),
    ("3/4", "Which share?", "3/4 of it", True, "number", "3/4"),
    ("3/4", "Which share?", "0.7", False, "number", "0.7"),
    ("1/300", "Which share?", "0", False, "number", "0"),
    ("2.5e3", "How much?", "2500", True, "number", "2500"),
    ("2500", "How much?", "2.5 × 10^3", True, "number", "2.5 × 10^3"),
    # tuples
    ("(Sunny, decreased)", "What?", "(Sunny, decreased)", True, "tuple", "Sunny, decreased"),
    ("(Sunny, decreased)", "What?", "The answer is (sunny, Decreased).", True, "tuple", "sunny, Decreased"),
    ("(Sunny, decreased)", "What?", "Sunny, decreased", True, "tuple", "Sunny, decreased"),
    ("(Sunny, decreased)", "What?", "(decreased, Sunny)", False, "tuple", "decreased, Sunny"),
    ("(Sunny, decreased)", "What?", "(Sunny, increased)", False, "tuple", "Sunny, increased"),
    ("(Sunny, decreased)", "What?", "Sunny", False, "tuple", None),
    ("(3, 21.60)", "What?", "It is (3, 21.6)", True, "tuple", "3, 21.6"),
    ("(3, 21.60)", "What?", "(4, 21.6)", False, "tuple", "4, 21.6"),
    ("[1, 2, 3]", "What?", "[1,2,3]", True, "tuple", "1,2,3"),
    ("(a, b)", "Which?", "(b, a)", False, "tuple", "b, a"),
    ("(A, B)", "Which?", "B", False, "tuple", None),
    # texts
    ("Sunny", "Weather?", "sunny.", True, "text", "sunny"),
    ("Sunny", "Weather?", "The weather is sunny", True, "text", "weather is sunny"),
    ("Sunny", "Weather?", "It is not sunny.", False, "text", "it is not sunny"),
    ("Sunny", "Weather?", "Rainy", False, "text", "rainy"),
    ("the Eiffel Tower", "What?", "Eiffel tower", True, "text", "eiffel tower"),
    ("red", "Colour?", "It is hundred.", False, "text", "it is hundred"),  # whole words only
    ("group A", "Which?", "group B", False, "text", "group b"),
    ("group A", "Which?", "It is the group A because of a peak.", True, "text", "it is group a because of peak"),
    ("A and B", "Which?", "C and B", False, "text", "c and b"),
    ("a cat", "Which?", "A cat.", True, "text", "cat"),
    ("Sunny", "Weather?", "It is not rainy but sunny.", True, "text", "it is not rainy but sunny"),
    ("Yes", "Is it?", "Yes, it is.", True, "text", "yes it is"),
    ("Yes", "Is it?", "No. Yes would be wrong.", False, "text", "no yes would be wrong"),
    ("10:30", "When?", "10:30", True, "text", "10 30"),
    # no rule
    ("", "What?", "7", None, None, None),
    ("…", "What?", "7", None, None, None),
    ("First the lid is opened, then the water is poured, and at last the cup is taken away.", "What?", "7",
     None, None, None),  # 17 words
    ("a\nb", "What?", "a", None, None, None),
)  # fmt: skip


def test_the_table_is_long_enough():
    assert len(TABLE) >= 60
    assert {row[4] for row in TABLE} == {*RULES, None}


@pytest.mark.parametrize(("reference", "question", "answer", "right", "rule", "read"), TABLE)
def test_what_a_rule_says(reference, question, answer, right, rule, read):
    found = check_exact(record(reference, question), answer)
    assert (found.right, found.rule) == (right, rule)
    assert found.read == read


def test_only_reasoning_questions_with_a_reference_in_words_have_a_rule():
    assert check_exact(record("7", category="PBL"), "7") == NO_RULE
    assert check_exact(record("7", category="SA"), "7") == NO_RULE
    assert check_exact(record("7", image="a.png"), "7") == NO_RULE
    assert check_exact(record(" ".join(["word"] * MOST_WORDS)), "x").rule == "text"
    assert check_exact(record(" ".join(["word"] * (MOST_WORDS + 1))), "x") == NO_RULE


def test_details_of_a_verdict():
    assert check_exact(record("21.60"), "21.6").details() == {
        "exact": True,
        "exact_rule": "number",
        "exact_read": "21.6",
    }
    assert check_exact(record("7"), "none here").details() == {
        "exact": False,
        "exact_rule": "number",
        "exact_read": None,
    }
    assert NO_RULE.details() == {"exact": None}
    long = check_exact(record("Sunny"), "word " * 400).details()["exact_read"]
    assert len(long) == READ


@pytest.mark.parametrize(
    ("question", "options"),
    [
        (LINES, ["Sunny", "Rainy", "Cloudy", "Windy"]),
        (INLINE, ["3", "4.5", "12"]),
        (TWO, ["No", "Yes"]),
        (SIX, ["red", "green", "blue", "pink", "grey", "black"]),
        ("Options: (A) one two; (B) three.", ["one two", "three."]),
        ("See point (A) of the figure.", []),
        ("B. comes first\nA. comes last", []),
        ("", []),
    ],
)
def test_options_of_a_question(question, options):
    assert read_options(question) == options


TEXTS = st.text(alphabet="0123456789.,-+/eE^×%()[]{}$ =AaBbCxyz\n:*\\", max_size=200) | st.text(max_size=80)


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_no_text_breaks_a_rule(reference, question, answer):
    found = check_exact(record(reference, question), answer)
    assert (found.right is None) == (found.rule is None)
    assert found.read is None or found.rule is not None


@pytest.mark.parametrize("piece", ["1", "1,", "(", "(1,", "=", "answer is ", "not ", "9e9", "1/", "a ", "\n", "(A) "])
def test_long_answers_come_to_an_end(piece):
    """A pattern that tries again from every place would take hours."""
    assert check_exact(record("7", piece * (40_000 // len(piece))), "7").right is True
    for reference, rule in (("7", "number"), ("(1, 2)", "tuple"), ("Snow", "text"), ("B", "letter")):
        assert check_exact(record(reference, LINES), piece * (40_000 // len(piece))).rule == rule
