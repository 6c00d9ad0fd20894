"""`python -m demo` in a clone; the command is in rooms/answer/demo.py."""

from featurestack.console import run_stage

if __name__ == "__main__":
    run_stage("demo")
