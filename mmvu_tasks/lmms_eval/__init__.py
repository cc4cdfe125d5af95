"""MMVU for lmms-eval: the task files of this folder and the module they name. Tasks: mmvu, mmvu_robust, mmvu_demo."""
