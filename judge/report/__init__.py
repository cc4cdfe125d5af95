"""Results folders as one HTML file that needs nothing beside it: `mmjudge report RESULTS… --out report.html`.

    findings    the sentences: what was measured, which is better, by how much, how sure
    charts      SVG
    pictures    which pictures travel inside the file, and where the others lie
    browser     what the sample browser holds, cut to size
    content     a section for every benchmark
    build       the file

Models and datasets wrote most of what is shown: Jinja escapes it, the script puts it into the page as text, and the
page's own policy lets it load nothing.
"""
