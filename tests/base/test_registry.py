"""Registries, and the nearest name."""

import importlib
import json
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


CODE = """
import featurestack as fs
@fs.model("image")  # ours
def {name}(channels):
    '''{text}'''
    return   {value}
"""


def test_the_digest_of_code_leaves_out_comments_layout_and_docstrings(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("featurestack.model", lambda kind: registry.code_digest)
    monkeypatch.syspath_prepend(tmp_path)
    texts = {
        "first": CODE.format(name="f", text="", value=1),
        "laid_out": CODE.format(name="f", text="a text", value=1).replace("# ours", ""),
        "other": CODE.format(name="f", text="", value=2),
    }
    found = {}
    for name, text in texts.items():
        (tmp_path / f"digest_{name}.py").write_text(text)
        found[name] = importlib.import_module(f"digest_{name}").f
    assert found["first"] == found["laid_out"] != found["other"]
    without_source = []
    for value in (1, 1, 2):
        defined = {"__name__": "shell"}
        exec(f"class F:\n def f(self): return lambda: {value}", defined)
        without_source.append(registry.code_digest(defined["F"]))
    assert without_source[0] == without_source[1] != without_source[2]
    assert registry.code_digest(registry.load) == ""


REACHING = """
import featurestack as fs
from beside_{name} import GAIN

def helper(x):
    return x * {helper} + TABLE[0]

TABLE = [{table}]
OTHER = {other}

@fs.model("image")
def f(channels):
    return helper(GAIN)
"""


def test_the_digest_of_code_covers_what_it_reaches_in_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr("featurestack.model", lambda kind: registry.code_digest)
    monkeypatch.syspath_prepend(tmp_path)
    usual = {"helper": 1, "table": 2, "other": 3, "gain": 4}
    digests = {}
    for name in ("as_before", *usual):
        values = usual | {name: 9} if name in usual else usual
        (tmp_path / f"beside_{name}.py").write_text(f"GAIN = {values['gain']}")
        text = REACHING.format(name=name, **values)
        (tmp_path / f"reaching_{name}.py").write_text(text)
        module = importlib.import_module(f"reaching_{name}")
        digests[name] = module.f
    assert len({*digests.values()}) == 5  # each file imports another module
    (tmp_path / "beside_as_before.py").write_text("GAIN = 4")
    for name in ("helper", "table", "other"):
        text = REACHING.format(name="as_before", **usual | {name: 9})
        (tmp_path / f"again_{name}.py").write_text(text)
        again = importlib.import_module(f"again_{name}").f
        assert (again == digests["as_before"]) == (name == "other")


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
