"""Notes of a page: what to type next, media, and what the entry page leaves out."""

from collections.abc import Mapping
from typing import Any

from featurestack.analysis.sentences import sentence
from featurestack.commandline.quantities import counted

# kind of a proposal -> what its command does
NEXT = {
    "extract": "extracts the features of the present clips",
    "first": "a first run",
    "untrainable": "lists classes and folds; training needs two of each",
    "check": (
        "looks for the same audio in different folds, and for recording conditions that"
        " predict the class"
    ),
    "again": "trains these runs again on the present clips",
    "folds": "trains the missing folds",
    "combine": "shows what combining gains",
    "different": "tries other features, because these do not separate the classes",
    "network": "a small network on the same features",
    "predict": "predicts new recordings",
    "paper": "writes figures, tables and a methods paragraph for a paper",
}


@sentence
def media(wrong: int, embedded: int, total: int, linked: int) -> str:
    """The number of clips whose audio the page holds.

    wrong, embedded  clips that some run predicted wrongly, and how many the page holds
    total, linked    clips that it holds, and clips that are links to files
    """
    if not total and not linked:
        return (
            "The clips’ audio files are not on this machine, so there are no players."
        )
    if not wrong:
        return "Every run predicted every clip correctly."
    if embedded == wrong:
        of_all = "every clip" if wrong > 1 else "the one clip"
    else:
        of_all = f"{embedded} of the {counted(wrong, 'clip')}"
    text = f"The page contains the audio of {of_all} that some run predicted wrongly"
    return text + ("; others play where the page was made." if linked else ".")


@sentence
def left_out(facts: Mapping[str, Any]) -> str:
    """The clips and runs that a report leaves out, for the entry page."""
    texts = []
    if facts["failed"]:
        texts.append(counted(facts["failed"], "failed clip"))
    if facts["excluded"]:
        texts.append(counted(facts["excluded"], "run"))
    return ", ".join(texts)
