"""`python -m mmie_tasks.demo` prints the folder of the demo's data, `python -m mmie_tasks.demo judge` its judge's."""

import sys

from mmie_tasks.demo import demo_dir, judge_dir

if __name__ == "__main__":
    print(judge_dir() if sys.argv[1:] == ["judge"] else demo_dir())
