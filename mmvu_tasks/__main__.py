"""`lmms-eval --include_path "$(python -m mmvu_tasks)"`: the folder of our task files."""

from mmvu_tasks.benchmark import BENCHMARK

if __name__ == "__main__":
    print(BENCHMARK.task_dir)
