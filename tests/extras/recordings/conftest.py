"""Recordings with events that are easy to find, and two runs on them; tests that change
a file put it back.
"""

import numpy as np
import pytest
import soundfile

from tests.extras.recordings import field


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The dataset `field` with features, and wind of another place in `new`."""
    place = tmp_path_factory.mktemp("field")
    field.write_recordings(place)
    field.make_dataset(place, features=f"{field.MEL} modulation chroma")
    write_wind(place / "new", seed=0)
    return place


@pytest.fixture(scope="session")
def runs(folder):
    """The better run, and one whose two epochs leave all probabilities near the
    threshold: roundings decide.
    """
    short = field.train(folder, features=f"{field.MEL}:0-3", epochs=2)
    return [field.train(folder, model="frames@width=32"), short]


@pytest.fixture(scope="session")
def trained(runs):
    return runs[0]


def write_wind(folder, seed):
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 0.05, 30 * field.RATE)
    soundfile.write(folder / "wind.wav", noise, field.RATE)
