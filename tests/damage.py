"""Reports on datasets with damaged files."""

import json

from tests.golden.commands import command, inside

HOW = "a key is gone", "the end is cut"


def without_key(text, place):
    """The JSON text without the value at a place such as `a.b`."""
    content = part = json.loads(text)
    *outer, last = [int(key) if key.isdecimal() else key for key in place.split(".")]
    for key in outer:
        part = part[key]
    del part[last]
    return json.dumps(content)


def report_over_damage(folder, files, how):
    """Damage the files, and check that the report on the dataset `birds` is made and
    that each damaged file is named with its remedy.

    files  file -> a key in it, and the remedy that the message names
    """
    texts = {name: (folder / name).read_text() for name in files}
    page = folder / "reports/birds/index.html"
    page.unlink(missing_ok=True)
    for name, (key, _) in files.items():
        text = texts[name]
        spoilt = without_key(text, key) if how == HOW[0] else text[:-9]
        (folder / name).write_text(spoilt)
    with inside(folder):
        answer = command("analysis DATASET=birds")
    for name, text in texts.items():
        (folder / name).write_text(text)
    said = answer.out + answer.err
    for name, (_, remedy) in files.items():
        assert f"{name} cannot be read (" in said and remedy in said, answer
    assert "failed:" not in said and page.is_file(), answer
