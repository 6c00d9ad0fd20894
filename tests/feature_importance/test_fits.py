"""Fits are kept set by set, and a command after a kill makes only those that lack."""

import subprocess
import sys
import time

import numpy as np

from featurestack.feature_importance import ImportanceOptions
from featurestack.feature_importance.fits import read_features
from featurestack.feature_importance.importance import measure_importance


def test_a_killed_command_goes_on_where_it_was(cache_folder, tmp_path, monkeypatch):
    options = ImportanceOptions(
        dataset=str(cache_folder), runs=tmp_path, features="mel chroma blank"
    )
    words = (f"DATASET={cache_folder}", f"RUNS={tmp_path}", "FEATURES=mel chroma blank")
    slow = (
        "import sys, time; from featurestack.feature_importance.fits import Fits;"
        " answer = Fits.answer;"
        " Fits.answer = lambda *own: time.sleep(0.3) or answer(*own);"
        " from featurestack.commandline.commands import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", slow, "importance", *words]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(kept := [*tmp_path.glob("*/fits/*.npz")]) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    kept = {file: file.read_bytes() for file in tmp_path.glob("*/fits/*.npz")}
    assert not [*tmp_path.glob("*/importance/importance.json")]
    measured = measure_importance(options)
    assert all(file.read_bytes() == content for file, content in kept.items())
    whole = measure_importance(
        ImportanceOptions(**vars(options) | {"runs": tmp_path / "undisturbed"})
    )
    assert measured == whole


def test_a_damaged_file_is_made_again(cache_folder, tmp_path):
    options = ImportanceOptions(
        dataset=str(cache_folder), runs=tmp_path, features="mel chroma"
    )
    _, fits = read_features(options, least=2)
    answers = fits.answers("mel", fits.parts)
    file = fits.file("mel")
    file.write_bytes(file.read_bytes()[:100])
    again = fits.answers("mel", fits.parts)
    assert all(map(np.array_equal, answers, again))
