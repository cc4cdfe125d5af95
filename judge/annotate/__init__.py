"""A small local page on which people score answers: `mmjudge annotate MODEL=responses.jsonl … --annotator a1`.

    criteria    the rubric's criteria as marks: a point each, or one taken off
    items       which answers are scored, and in which order an annotator meets them
    store       the file of scores
    server      the page's addresses, on `judge.web`: this machine's loopback address and nowhere else

Annotators are blind: nothing that the server sends holds the name of a model, of a file or of a folder. Answers are
anybody's words: they reach the page as text, their pictures as pixels.
"""
