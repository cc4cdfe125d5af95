"""`lmms-eval --include_path "$(python -m mmvu_tasks)" --tasks mmjudge`: prints the folder of the task files."""

from pathlib import Path

if __name__ == "__main__":
    print(Path(__file__).parent / "lmms_eval")
