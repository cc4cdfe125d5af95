"""Everything after a response exists: request → verdict → statistics → report.

`mmie_tasks` and `mmvu_tasks` own the asking side; this package never imports them by name, it finds them by
entry point (`judge.core.benchmark.find`). Importing it pulls in neither torch nor a harness.
"""

__version__ = "0.1.0"
