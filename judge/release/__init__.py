"""A fine-tuned judge made ready for others: `mmjudge release TRAINED --out DIR`.

    trained    what `mmjudge train` left, checked against the data and the base it names
    export     adapters merged into the base; both layouts written, read again and compared
    held_out   the judge and its base on the answers that training never saw, and whether the judge is better
    card       the model card

    DIR/original/    for `mmjudge score --judge DIR/original`, with mmjudge.json and README.md
    DIR/native/      the same weights for `AutoModelForImageTextToText` and vLLM, with the same two
    TRAINED/release/{judge,base}.jsonl    verdicts on the held-out answers; an interrupted release goes on from them

DIR appears when all of it is there. It does not appear where the judge is not shown to agree better with people than
its base does.
"""
