"""Registries, and the nearest name."""

import json
import runpy
from functools import partial

import pytest

from featurestack.base import registry
from featurestack.base.errors import closest
from featurestack.base.registry import Registry
from tests.golden.sounds import easy_clips
from tests.processes import forked, python
from tests.refusal import refused


def test_a_registry_takes_a_name_once_and_proposes_the_nearest(monkeypatch):
    models = Registry("model", {"resnet18": 18})

    @models.register(entry=lambda builder: builder())
    def cnn4():
        return 4

    assert models == {"resnet18": 18, "cnn4": 4}
    with pytest.raises(ValueError, match="model 'cnn4' is registered twice: 4 and 5"):
        models["cnn4"] = 5
    with refused(
        r"^unknown model 'ResNet8'; did you mean 'resnet18'\? Known: cnn4, resnet18$"
    ):
        models["ResNet8"]
    assert models.get("resnet8") is None and closest("xyz", models) is None
    many = Registry("model", {f"net{number}": number for number in range(40)})
    with refused(r"Known: (net\d+, ){7}net\d+ and 32 more \(make models lists all\)$"):
        many["net400"]


def test_a_registry_loads_other_modules_one_by_one_until_a_name_is_entered(
    tmp_path, monkeypatch
):
    """A user's function is refused the name of one that is not loaded yet."""
    for name in ("dogs", "cats", "birds"):
        text = f"from tests.base.test_registry import PETS\nPETS['{name}'] = 1\n"
        (tmp_path / f"of_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    others = ["of_dogs", "of_cats", "of_birds"]
    pets = Registry("pet", others=others)
    monkeypatch.setattr("tests.base.test_registry.PETS", pets, raising=False)
    assert pets["cats"] == 1 and [*pets] == ["dogs", "cats"]

    def birds():
        return 2

    with refused("^there is a pet 'birds' already: give yours another name$"):
        pets.register()(birds)
    with refused("^unknown pet 'bird'; did you mean 'birds'"):
        pets["bird"]
    assert [*pets.complete()] == ["dogs", "cats", "birds"]
    assert others == ["of_dogs", "of_cats", "of_birds"]


def test_a_module_of_the_user_replaces_its_own_entry_and_no_other():
    pets = Registry("pet", special={"unicorn": "of_unicorns"})

    def entered(name, module):
        def pet():
            return name

        pet.__module__ = module
        return pets.register(name)(pet)

    entered("cat", "mine")
    assert entered("cat", "mine") is pets["cat"]
    for name, module in (("cat", "another"), ("unicorn", "mine")):
        with refused(f"there is a pet '{name}' already"):
            entered(name, module)


MAIN = """
import featurestack as fs
from digest_star import *
from digest_package import inner
TABLE = {"gain": 1}
TABLE.update(gain=2)

@fs.model("image")
def f(channels):
    import digest_late
    return TABLE  # ours
"""
FILES = {
    "main.py": MAIN,
    "digest_star.py": "from digest_deep import GAIN",
    "digest_deep.py": "GAIN = 1",
    "digest_late.py": "GAIN = 1",
    "digest_package/__init__.py": "from . import beside",
    "digest_package/beside.py": "GAIN = 1",
    "digest_package/inner.py": "from .beside import GAIN\nfrom .odd import *",
    "digest_package/odd.py": "GAIN = 1",
    "data/notes.py": "GAIN = 1",
    "other.py": "GAIN = 1",
}


def digest_of(folder):
    return runpy.run_path(str(folder / "main.py"))["f"]


@pytest.mark.parametrize("name", FILES)
def test_the_digest_of_code_is_that_of_its_file_and_all_that_this_imports(
    name, tmp_path, monkeypatch
):
    monkeypatch.setattr("featurestack.model", lambda kind: registry.code_digest)
    monkeypatch.syspath_prepend(tmp_path)
    for file, text in FILES.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    before = digest_of(tmp_path)
    assert digest_of(tmp_path) == before
    with (tmp_path / name).open("a") as file:
        file.write("  # a comment")
    assert (digest_of(tmp_path) == before) is (name in ("data/notes.py", "other.py"))


def test_the_digest_of_code_without_a_file():
    digests = []
    for value in (1, 1, 2):
        defined = {"__name__": "shell"}
        exec(f"class F:\n def f(self): return lambda: {value}", defined)
        digests.append(eval("digest(F)", defined | {"digest": registry.code_digest}))
    assert digests[0] == digests[1] != digests[2]
    assert registry.code_digest(registry.load_file) == ""


MINE = """
import featurestack as fs
import numpy as np
from beside import WIDTH


@fs.feature(units="")
def samples(clip, *, hop_length: int = 512):
    return np.full((1, 1 + len(clip.y) // hop_length), WIDTH, np.float32)


@fs.model("image")
def means(channels, classes, shape, *, width=4):
    from torch import nn
    layer = nn.Linear(channels, classes)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), layer)
"""
LOAD = "LOAD=mine.py"
SHORT = ("FEATURES=samples+rms", "MODEL=means", "EPOCHS=1", "PRECISION=fp32")


def call(folder, *words, check=True):
    several = "JOBS=2" in words  # worker processes do not start in a fork of a test
    run = partial(python, check=False) if several else forked
    done = run("-m", "featurestack", *words, cwd=folder)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def own_code_folder(tmp_path_factory):
    """A folder with sounds, mine.py, and a run of what it defines."""
    folder = tmp_path_factory.mktemp("studio")
    registry.DEFINING.clear()  # of other tests, in the process that is forked
    easy_clips(folder / "easy")
    (folder / "mine.py").write_text(MINE)
    (folder / "beside.py").write_text("WIDTH = 8")
    data = "DATASET=easy"
    done = call(folder, "features", data, "FEATURES=samples rms", "JOBS=2", LOAD)
    assert done.stdout.endswith(f"MODEL=ridge {LOAD}\n")  # what is proposed works
    call(folder, "train", data, *SHORT, "FOLDS=1", LOAD)
    call(folder, "bundle", "RUN=last", "OUT=mine.pt", LOAD)
    return folder


def test_a_run_keeps_the_names_of_the_files_that_define_it(own_code_folder):
    """It is fitted again to all clips, and what is loaded is listed."""
    for file in (own_code_folder / "runs" / "easy").glob("*/run.json"):
        kept = json.loads(file.read_text())
        assert kept["own_code"] == ["mine.py"] and LOAD not in kept["command"]
    call(own_code_folder, "bundle", "RUN=last", "OUT=whole.pt", LOAD)
    assert (own_code_folder / "whole.pt").exists()
    assert "samples " in call(own_code_folder, "show", LOAD).stdout


@pytest.mark.parametrize("run", ["last", "mine.pt"])
def test_a_missing_definition_is_asked_for_by_the_name_of_its_file(
    run, own_code_folder
):
    clip = next((own_code_folder / "easy").glob("*/*.wav"))
    words = ["predict", f"AUDIO={clip}", f"RUN={run}"]
    refusal = call(own_code_folder, *words, check=False)
    assert refusal.returncode == 2
    remedy = f"this run needs the model means: {LOAD}"
    assert refusal.stderr.endswith(f"{remedy}\n")
    assert "siren " in call(own_code_folder, *words, LOAD).stdout


def test_a_file_that_cannot_be_run_is_one_sentence(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("x = 1\nx / 0\n")
    with refused(r"LOAD=.*broken.py: ZeroDivisionError: .* \(broken.py, line 2\)"):
        registry.load_given([f"LOAD={broken}"])
    with refused("LOAD=nowhere.py: there is no such file"):
        registry.load_given(["--load", "nowhere.py"])


@pytest.mark.parametrize("error", ["SystemExit(3)", "GeneratorExit()", "BaseException"])
def test_whatever_a_file_raises_is_one_sentence_with_its_line(tmp_path, error):
    file = tmp_path / "ends.py"
    file.write_text(f"x = 1\nraise {error}\n")
    with refused(r"ends\.py: \w+: .*\(ends\.py, line 2\)"):
        registry.load_given([f"LOAD={file}"])


def test_a_file_that_was_interrupted_is_run_again(tmp_path):
    file = tmp_path / "slow.py"
    file.write_text("raise KeyboardInterrupt")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            registry.load_given([f"LOAD={file}"])


ENDING = """
import featurestack as fs

@fs.feature("", frames=None)
def ending(clip):
    raise {}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("ValueError('bye')", "ValueError: bye (mine.py, line 6)"),
        ("SystemExit('bye')", "SystemExit: bye"),
        ("BaseException('odd')", "BaseException: odd"),
        ("KeyboardInterrupt", "stopped; run"),
    ],
)
def test_a_feature_that_ends_its_worker_is_said(tmp_path, error, said):
    easy_clips(tmp_path / "easy")
    (tmp_path / "mine.py").write_text(ENDING.format(error))
    words = "features", "DATASET=easy", "FEATURES=rms ending", "JOBS=2", LOAD
    done = python("-m", "featurestack", *words, cwd=tmp_path, check=False)
    assert done.returncode and said in done.stderr and "Traceback" not in done.stderr
