"""Results folders in a browser: `mmjudge view DIR…`, a local page to search, sort, filter and read them side by side.

    reading     what the list and the search need of a run's files, and where in them everything else stands
    runs        several runs, read by several processes where they are large
    table       the questions of a benchmark as rows, what every run made of them, what to know of the runs
    selection   which rows, in which order: search, filters, sorting
    samples     one row in full, read from the files when it is looked at
    export      the selected rows as JSON lines or CSV
    server      the page's addresses, on `judge.web`

Only what the list needs stays in memory, with the texts folded for the search; whole texts are read where they lie.
"""
