"""`python -m answer` in a clone; the command is in rooms/answer/answer.py."""

from featurestack.console import run_stage

if __name__ == "__main__":
    run_stage("answer")
