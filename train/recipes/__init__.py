"""Named settings, a text file each: lines of NAME=value as on the command line, and
lines of # comment.

Options on the command line win over those of `RECIPE=name`. `RECIPE=my/recipe.txt` is a
file of one's own.
"""

import itertools
from pathlib import Path

from featurestack.commandline.errors import RequestError, nearest

FOLDER = Path(__file__).parent


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.txt"))


def recipe_words(name: str) -> list[str]:
    """The recipe's NAME=value words; none without a recipe."""
    if not name:
        return []
    file = FOLDER / f"{name}.txt" if name in names() else Path(name)
    try:
        if not file.is_file():  # reading a FIFO may never end
            raise FileNotFoundError
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        remedy = "or the path of a .txt file of your own"
        raise RequestError(f"{nearest('recipe', name, names())}; {remedy}") from None
    return [
        line.strip()
        for line in lines
        if line.strip() and not line.lstrip().startswith("#")
    ]


def description(name: str) -> str:
    """The comment at the head of the recipe's file, on one line."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    head = itertools.takewhile(lambda line: line.startswith("#"), lines)
    return " ".join(line.lstrip("# ") for line in head)
