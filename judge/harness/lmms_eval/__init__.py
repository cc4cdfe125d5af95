"""lmms-eval: the benchmarks as tasks, and two models that need no weights."""
