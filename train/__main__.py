"""`python -m train run | sweep | importance | predict | verify | listen | bundle |
export | list | …`.
"""

from featurestack.commandline.commands import main
from featurestack.train.commands import COMMANDS

if __name__ == "__main__":
    main(COMMANDS, stage="train")
