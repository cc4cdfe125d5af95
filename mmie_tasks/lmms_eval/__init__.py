"""MMIE for lmms-eval: the task files of this folder and the module they name. Tasks: mmie, mmie_score,
mmie_1k, mmie_demo."""
