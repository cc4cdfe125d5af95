"""Results folders as one HTML file that needs nothing beside it: `mmjudge report RESULTS… --out report.html`.

    entries     the runs, each under a name of its own
    head        the leaderboard of every benchmark (`judge.results.leaderboard`), and all cautions, each once
    findings    the sentences: what was measured, which is better, by how much, how sure
    conditions  one model under several conditions
    figures     which charts there are, and what they show in words; charts, drawing and marks draw them
    cards       answers that are singled out; pictures: which of theirs travel inside the file
    browser     what the list of all answers holds, cut to size
    left_out    what is cut, and how to see it all
    content     a section for every benchmark
    build       the file

Models and datasets wrote most of what is shown: Jinja escapes it, the script puts it into the page as text, and the
page's own policy lets it load nothing.
"""
