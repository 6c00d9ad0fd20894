import shlex

import pytest
import soundfile

from tests.golden.commands import done
from tests.train.sounds import CLASSES, RATE, sound


def write_esc50(folder):
    """Five folds of three clips of each class, in ESC-50's layout."""
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for number, label in enumerate(CLASSES):
            for take in range(3):
                source = 100 * fold + 10 * number + take
                name = f"{fold}-{source}-A-{number}.wav"
                soundfile.write(folder / "audio" / name, sound(label, source), RATE)
                rows.append(f"{name},{fold},{number},{label},False,{source},A")
    (folder / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture
def esc50(tmp_path):
    """A dataset of `write_esc50`."""
    folder = tmp_path / "esc50"
    write_esc50(folder)
    return folder


def run_here(module, words):
    """`docs.measured.run_command` in this process, which need not start Python; each
    command counts as a second.
    """
    done(shlex.join([module, *words]))
    return 1.0
