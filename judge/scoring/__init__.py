"""One request becomes one verdict, once: grading, the journal, and the order of things."""
