"""`python -m mmvu_tasks.demo` prints the folder of the demo's data."""

from mmvu_tasks.demo import demo_dir

if __name__ == "__main__":
    print(demo_dir())
