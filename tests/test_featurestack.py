"""The Python interface and the console command."""

import inspect
import itertools
import os
import pickle
import re
from functools import partial

import nbformat
import numpy as np
import pytest

import featurestack as fs
from featurestack.base import HOME
from featurestack.base.errors import DamagedFile, see
from featurestack.base.options import DatasetOptions, fields, in_python
from featurestack.base.shell import program
from featurestack.base.terminal import Notice, tell, warn
from featurestack.cli.commands import command, run
from featurestack.cli.parser import parse
from featurestack.features_cache import external
from featurestack.train import training as train_run
from featurestack.train.options import RunOptions
from notebooks import store
from tests.cases import cases
from tests.golden.commands import ROOT
from tests.processes import forked, python
from tests.refusal import refused
from tests.train.sounds import CLASSES, write_dataset


def test_a_clip_that_fails_is_warned_about_and_the_others_are_there(tmp_path):
    table = write_dataset(tmp_path / "sounds")
    (tmp_path / "sounds" / "tone-1-0.wav").write_bytes(b"no sound")
    given = {"data": str(tmp_path / "data"), "name": "other", "jobs": 1}
    with pytest.warns(UserWarning, match=r"clips failed: .*failures\.csv") as said:
        cache = fs.extract(str(table), "rms", **given)
    assert said[0].filename == __file__
    assert cache.readable(["rms"]).sum() == len(cache.clips) - 1
    with refused(r"1 clip of rms cannot be read \(tone-1-0: not audio"):
        cache.read("rms", ["tone-1-0"])
    assert cache.folder == tmp_path / "data" / "other" / "features"


@pytest.mark.parametrize("name", [name for name in fs.__all__ if name.islower()])
def test_every_function_explains_its_keywords_and_has_an_example(name):
    document = inspect.getdoc(getattr(fs, name)) or ""
    assert "Examples\n--------\n" in document
    before, *_ = document.partition("\nReturns\n")
    explained = re.findall(r"^([\w, *]+)(?: : .*)?\n    ", before, re.MULTILINE)
    told = ", ".join(explained).replace("*", "").split(", ")
    shown = inspect.signature(getattr(fs, name)).parameters.values()
    named = [own.name for own in shown if own.kind is not own.VAR_KEYWORD]
    assert [key for key in named if key not in told] == []


def test_no_parameter_is_explained_by_a_command_or_its_variable():
    documents = {name: inspect.getdoc(getattr(fs, name)) or "" for name in fs.__all__}
    referring = re.compile(r"\bAs in `make |\b[Aa]s (in )?[A-Z]+=")
    assert [name for name in documents if referring.search(documents[name])] == []


def test_keywords_mean_what_the_same_words_mean_on_the_command_line(monkeypatch):
    monkeypatch.setattr(train_run, "fit", lambda options: options.runs())
    (options,) = fs.fit(folds=[1, 3], runs="elsewhere", augment="mask", epochs=7)
    given = ["FOLDS=1 3", "RUNS=elsewhere", "AUGMENT=mask", "EPOCHS=7"]
    assert options == parse(RunOptions, given)
    with refused('^epochs="many": expected auto or a whole number'):
        fs.fit(epochs="many")
    with pytest.raises(AttributeError, match=r"did you mean fs\.Clip"):
        _ = fs.clip
    with refused('^paper="maybe": expected 1 or 0'):
        fs.report("synth", paper="maybe")
    with refused("unknown keyword 'epoch'; did you mean 'epochs'"):
        fs.fit(dataset="synth", epoch=3)


def test_make_and_pages_are_named_only_where_a_clone_has_them(tmp_path, monkeypatch):
    monkeypatch.chdir(HOME)
    assert program() == "make" and see("index.md") == " (docs/index.md)"
    for folder in (HOME / "docs", tmp_path):
        monkeypatch.chdir(folder)
        assert program() == "featurestack" and see("index.md") == ""


SCRIPT = """
import featurestack as fs
import numpy as np

for _ in range(2):  # as a notebook's cell that is run again
    @fs.feature(units="")
    def samples(clip, *, hop_length: int = 512):
        return np.full((1, 1 + len(clip.y) // hop_length), 8, np.float32)

    @fs.model("image")
    def means(channels, classes, shape, *, width=4):
        from torch import nn
        layer = nn.Linear(channels, classes)
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), layer)

cache = fs.extract("sounds.csv", "samples rms", jobs=2)
assert (cache.read("samples", cache.clips.clip_id[:2].to_list()) == 8).all()
few = dict(epochs=1, batch=6, precision="fp32", threads=1, folds=(1, 2))
run = fs.fit(dataset="sounds.csv", features="samples+rms", model="means", **few)
print(fs.predict_audio(run, [cache.clips.path[0]]).predicted[0])
"""


def of_a_script(folder):
    (folder.parent / "script.py").write_text(SCRIPT)
    (folder.parent / "demo.py").write_text("raise SystemExit('a module of the user')")
    return python("../script.py", cwd=folder).stdout


def of_a_notebook(folder):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SCRIPT)])
    store.execute(notebook, folder)
    return "".join(
        part.text for part in notebook.cells[0].outputs if part.get("name") == "stdout"
    )


@pytest.mark.slow
@pytest.mark.parametrize("printed", [of_a_script, of_a_notebook])
def test_a_users_own_feature_and_model_work_with_several_processes(
    printed, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_dataset(tmp_path / "sounds").rename(tmp_path / "sounds" / "sounds.csv")
    lines = printed(tmp_path / "sounds").splitlines()
    assert lines[-1] in CLASSES
    assert any(" train DATASET=sounds.csv " in line for line in lines)


# What a notebook shows


@pytest.fixture(scope="module")
def cache_and_run(tmp_path_factory):
    """(cache, run) of a small dataset."""
    folder = tmp_path_factory.mktemp("shown")
    table = str(write_dataset(folder / "sounds"))
    places = {"data": str(folder / "data"), "quiet": True}
    cache = fs.extract(table, "rms zcr", jobs=1, **places)
    places["runs"] = folder / "runs"
    return cache, fs.fit(table, "rms+zcr", model="linear", **places)


def test_a_cache_is_shown_as_a_table_and_a_run_with_its_score(cache_and_run):
    cache, run = cache_and_run
    heading, _, *rows = repr(cache).splitlines()
    assert heading.endswith(f"{len(cache.clips)} clips")
    assert [row.split()[0] for row in rows] == ["rms", "zcr"]
    share = r"\d+\.\d"
    assert re.fullmatch(
        rf"\S+/rms\+zcr-linear: (\d) of \1 folds; test accuracy {share} %"
        rf" \(95 % CI {share} to {share}\)",
        repr(run),
    )


def test_functions_take_what_another_returned(cache_and_run, tmp_path):
    cache, run = cache_and_run
    folders = {"runs": run.path.parents[1], "data": cache.data, "quiet": True}
    bundle = fs.bundle(run, tmp_path / "run.pt", quiet=True)
    assert bundle == tmp_path / "run.pt"
    file = cache.clips["path"][0]
    predicted = fs.predict_audio(run, file)
    assert repr(fs.Model(bundle)).startswith("Model(rms+zcr with linear, of little, ")
    for model in (run.path, bundle, fs.Model(bundle)):
        assert fs.predict_audio(model, [file]).equals(predicted)
    again = fs.fit(cache, "rms+zcr", model="linear", **folders)
    assert fs.run(again) == again and fs.curves(again) and fs.confusion(again.path)
    assert fs.cache(cache).folder == cache.folder
    report = fs.report("little", reports=tmp_path, **folders)
    assert report.page.exists()
    with pytest.raises(TypeError, match="takes from 0 to 2 positional arguments"):
        fs.fit("sounds", "rms", "ridge")


@cases("call", "sentence")
def test_an_argument_of_another_kind_is_named_with_what_is_expected(
    cache_and_run, call, sentence
):
    cache, run = cache_and_run
    names = {"fs": fs, "np": np, "external": external, "refused": refused}
    with refused(sentence):
        eval(call, names | {"cache": cache, "run": run})


def test_clips_says_once_what_may_be_source_recordings(tmp_path, capsys):
    for number, take in itertools.product(range(16), "AB"):
        folder = tmp_path / "sounds" / ("dog", "rain")[number % 2]
        file = folder / f"{1 + number // 2 % 4}-{137 * number}-{take}.wav"
        folder.mkdir(parents=True, exist_ok=True)
        fs.write(fs.tone(440 + number, 0.1), file)
    for said in (1, 0):
        fs.clips(tmp_path / "sounds", tmp_path / "data")
        assert capsys.readouterr().err.count("source recordings, add group=") == said


def test_notices_name_keywords_in_python_and_options_in_a_command(capsys):
    @command
    def noticing(dataset: str) -> None:
        tell(f"DATASET={dataset} of today; RUN= names another")
        warn(f"DATASET={dataset} is old")

    def typed(options: DatasetOptions) -> None:
        noticing(options.dataset)

    with pytest.warns(Notice, match='^dataset="birds" is old$'):
        noticing("birds")
    assert capsys.readouterr().err == 'dataset="birds" of today; run= names another\n'
    with pytest.warns(Notice, match="^DATASET=birds is old$"):
        run(typed, DatasetOptions, ["DATASET=birds"])
    assert capsys.readouterr().err.startswith("DATASET=birds of today; RUN= names")


def test_a_command_that_calls_a_function_speaks_of_what_was_typed():
    def typed(options: DatasetOptions) -> None:
        fs.fit(options.dataset)

    with refused("give it as FEATURES=mel.mfcc$"):
        run(typed, DatasetOptions, ["DATASET=mel+mfcc"])
    with refused('give it as features="mel.mfcc"$'):
        fs.fit("mel+mfcc")


def test_every_part_of_a_refusal_names_keywords_also_in_another_process():
    error = DamagedFile(
        "index.h5 is no HDF5", "move it, or give another NAME= or DATA="
    )
    with pytest.raises(DamagedFile), in_python(lambda: (fields(DatasetOptions), [])):
        raise error
    for own in (error, pickle.loads(pickle.dumps(error))):
        assert str(own).endswith(": move it, or give another name= or data=")


# The console command


def console(*words, **settings):
    before = partial(os.environ.update, settings)
    return forked("-m", "featurestack", *words, before=before)


def test_alone_it_lists_commands_and_their_meanings_in_the_order_of_use():
    done = console()
    listed = re.findall(r"^  ([a-z]+)  +[A-Z].*\.$", done.stdout, re.MULTILINE)
    assert listed[:2] == ["answer", "demo"] and "check" in listed
    assert listed.index("data") < listed.index("features") < listed.index("train")
    assert done.returncode == 0 and console("--help").stdout == done.stdout
    assert console("--version").stdout == f"featurestack {fs.__version__}\n"


def test_help_of_a_command_has_two_spellings():
    shown = console("features", "--help").stdout
    assert shown == console("help", "features").stdout
    assert "did you mean 'features'" in console("featuers").stderr


def test_a_variable_of_the_environment_is_named_as_ignored():
    done = console("train", "DATA=nowhere", DATA="x", RUNS="x", NAME="of a shell")
    assert done.stderr.splitlines()[0].startswith("ignored: RUNS of the environment")


def test_a_command_is_a_function_that_says_whether_it_worked(
    cache_and_run, tmp_path, capfd
):
    cache, _ = cache_and_run
    sounds = {"dataset": cache.source, "data": cache.data, "quiet": True}
    assert fs.check(**sounds) is True
    fs.extract(features="rms", jobs=1, **sounds)
    assert capfd.readouterr() == ("", "")
    sounds["runs"] = tmp_path
    runs = fs.fit(features=["rms", "rms:0-0"], model="linear", **sounds)
    assert [run.name for run in runs] == ["rms-linear", "rms.0-0-linear"]
    # an exact solution has one seed
    (of_seeds,) = fs.fit(features="rms", model="linear", seed=[0, 1], **sounds)
    assert of_seeds.name == "rms-linear"
    bundle = tmp_path / "sounds.pt"
    assert fs.bundle("last", out=bundle, data=cache.data, runs=tmp_path) == bundle
    remedy = re.escape(f"run make features DATASET={cache.source} FEATURES=pcen DATA=")
    with pytest.raises(fs.RequestError, match=f"lacks pcen.*{remedy}"):
        fs.fit(features="pcen", **sounds)
    with pytest.raises(fs.RequestError, match=r"^folds=9: expected some of"):
        fs.fit(features="rms", model="linear", folds=9, **sounds)


@pytest.mark.parametrize("name", fs.__all__)
def test_a_functions_first_argument_is_the_dataset(name):
    function = getattr(fs, name)
    if inspect.isfunction(function):
        parameters = [*inspect.signature(function).parameters]
        if {"dataset", "features"} <= {*parameters}:
            assert parameters[0] == "dataset"
