"""MMVU-Train: paired positive and negative training data, made by a strong model, filtered, and mixed into other data.

    pictures, captions          construct: one call a picture, replies kept raw, checked as data
    → replies.jsonl, pairs.jsonl
    → pairs.jsonl               filter: refusals, near-duplicates, shares, leaks of the test set
    → llava.json, choice.jsonl, trl.jsonl, llamafactory.jsonl, README.md
    → mixed.json, mix.json      mix: some of it in place of, or beside, another mix

    samples      what is asked about: pictures with what is known of them
    prompts      the prompts of versions 0 to 3 (Figs. 3-5, 9, 10 of the supplement to arXiv 2406.10638)
    replies      a reply becomes a record, or what is wrong with it in words
    journal      every reply, one writer, so that a killed run goes on
    construct    the run
    pairs        the record, and its file
    wording      words of a question: refusals, types, likeness
    pictures     hashes of pictures, exact and perceptual
    leakage      what of MMVU's test set is in the data
    filter       what goes, and why
    forms        the data as trainers read it
    card         what is in a folder, with hashes
    mix          a share of another mix replaced or added to

`mmjudge mmvu-data construct|filter|mix` are the commands; docs/mmvu_train.md shows them at work.
"""
