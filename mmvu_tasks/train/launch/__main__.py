"""`python -m mmvu_tasks.train.launch` prints the folder of accelerate's configurations."""

from mmvu_tasks.train.launch import launch_dir

if __name__ == "__main__":
    print(launch_dir())
