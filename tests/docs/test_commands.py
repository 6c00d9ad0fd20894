"""Every command that the documentation shows exists, takes its options, and runs on few
clips.
"""

import re
import shlex
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.base.options import fields
from featurestack.base.shell import unquoted
from featurestack.cli.parser import as_flags, options_from, parse
from featurestack.cli.words import (
    every_options,
    function_of,
    options_of,
)
from featurestack.pipeline.features import refuse_unknown
from featurestack.results.run_folder import (
    PREDICTION_COLUMNS,
    write_config,
    write_predictions,
)
from featurestack.train.models import resolve
from featurestack.train.options import RunOptions
from tests.golden.commands import ROOT, done, inside
from tests.run_configs import named, run_config
from tests.train.sounds import CLASSES, RATE, sound

DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(
        p
        for p in DOCS.rglob("*.md")
        if not {"out", "generated"} & set(p.relative_to(DOCS).parts)
    ),
]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
WITHOUT_OPTIONS = {"test", "setup", "docs", "lint"}
READ_BY_MAKEFILE = ("ALL", "GPU", "PYTHON")
PYTHONS = ("make", "python", "python3", "torchrun")
# modules of other projects; '' is none
THEIRS = ("", "venv", "pip", "pytest", "sphinx", "build", "twine", "http", "jupyter")
# a value that stands for something of the reader's
PLACEHOLDER = re.compile(r"…|\.\.\.|<\w+>|\$")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def segments(line):
    """The words of each command of a line, split at && ; |, without comments and
    leading settings.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&><")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|;&"):
            yield words
            words = []
        elif words or not re.fullmatch(r"[A-Z_]+=.*", word):
            words.append(word)


def shown_commands(page):
    """The name, the words and whether in a code block of every make, `python -m` and
    featurestack command of a page.
    """
    text = page.read_text(encoding="utf-8")
    lines = []
    for language, body in FENCE.findall(text):
        if language in ("", "bash", "sh", "console"):
            whole = body.replace("\\\n", " ").splitlines()
            lines += [(line, True) for line in whole]
    running = re.sub(r"\s+", " ", FENCE.sub("", text))
    lines += [
        (code, False)
        for code in re.findall(r"`((?:make|python -m|featurestack) [^`]+)`", running)
    ]
    for line, fenced in lines:
        line = line.removeprefix("$ ")
        if line.startswith(("#", "next:", "then:")) or not re.search(
            r"(?<![\w-])(make|run|python3?|featurestack) ", line
        ):
            continue
        for words in segments(line):
            if words[:1] == ["featurestack"]:
                words = ["make", *words[1:]]
            if not words or words[0].removeprefix(".venv/bin/") not in PYTHONS:
                continue
            if words[0] != "make" and "-m" not in words:
                continue
            ends = [n for n, word in enumerate(words) if set(word) <= set("<>")]
            start = words.index("-m") if "-m" in words else 0
            module, *rest = words[start + 1 : ends[0] if ends else None] or ["help"]
            if module == "featurestack" and rest:
                module, *rest = rest
            # neither make's own options nor placeholders
            given = [
                word
                for word in rest
                if not PLACEHOLDER.search(word)
                and word.partition("=")[0] not in READ_BY_MAKEFILE
            ]
            yield module, given, fenced


known = cache(every_options)


@every_page
def test_every_command_exists_and_takes_its_options(page):
    """The parser of each command reads the options shown; features and models that are
    named exist.
    """
    for name, given, fenced in shown_commands(page):
        if name == "help":
            assert all(word in known() for word in given), given
        elif name in WITHOUT_OPTIONS:
            assert not given, name
        elif name not in known():
            module = ROOT / f"{name.replace('.', '/')}.py"
            assert module.exists() or name.partition(".")[0] in THEIRS, name
        elif "--help" not in given and (given or fenced):
            asked = options_of(name)
            options = parse(asked, given)
            read = getattr(options, "given", None) or vars(options)
            if features := read.get("features", ""):
                sets = {*unquoted(features)} - {"crest", "NAME"}  # worked examples
                refuse_unknown(" ".join(sets))
            models = read.get("model", "")
            for model in models.split() if isinstance(models, str) else models:
                if not model.startswith("tiny"):  # a worked example's
                    assert resolve(model)


@pytest.mark.parametrize(
    "wrong",
    [
        "python -m nowhere",
        "make features VAL=group",
        "make train MODEL=resnet19",
        "make train FEATURES=mel+rmss",
    ],
)
def test_a_page_with_a_wrong_option_or_an_unknown_module_is_noticed(tmp_path, wrong):
    page = tmp_path / "page.md"
    page.write_text(f"```\n{wrong}   # as shown\n```\n")
    with pytest.raises(Exception, match=r"unknown|nowhere"):
        test_every_command_exists_and_takes_its_options(page)


# Commands that can run here run, on thirty clips of a second

# live audio; minutes; a test of its own; a cluster, an account, a network's file, a
# table or recordings are needed
NOT_HERE = re.compile(
    r"listen|bench|demo|answer|"
    r".* (SCHEDULER=|TRACKER=\S*wandb|\S*embedding@|TABLES=|CHECK(ED)?=)|"
    r"compare TABLES=|analysis .*MODEL=|"  # its models are not trained here
    r"predict DATASET=data/new"  # windows of annotated recordings
)
QUICK = (
    "EPOCHS=1 BATCH=6 GRID=64x108 FOLDS='1 2' PRECISION=fp32 THREADS=1 CURVE=0 SEED=0"
    " DEVICE=cpu"
)
SMALL = dict(
    word.lower().split("=")
    for word in shlex.split(f"{QUICK} TASK=classes DATASET='my sounds'")
)
LEFT_OUT = "name archive audio_dir sample_rate duration scheduler part weights"
LEFT_OUT = [*LEFT_OUT.split(), "group", "data", "runs", "reports"]


@pytest.fixture(scope="module")
def commands_done(tmp_path_factory):
    """The commands that ran so far, beside the files that pages assume: two clips of
    each of five recordings a class, a cache, a run, audio.
    """
    with inside(tmp_path_factory.mktemp("documents")):
        for label, take in product(CLASSES, range(10)):
            file = Path("my sounds", label, f"{label} {take // 2}-{'AB'[take % 2]}.wav")
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, sound(label, take), RATE)
        soundfile.write("recording.wav", sound("tone", 77, seconds=3.0), RATE)
        page = (DOCS / "howto" / "bring-features.md").read_text(encoding="utf-8")
        for language, body in FENCE.findall(page):
            exec(body if language == "python" else "", {})
        sounds = {"DATASET": "my sounds"}
        done("features", **sounds, FEATURES="mel mfcc chroma", GROUP="(.*)-[A-Z]")
        given = {"EPOCHS": 1, "MODEL": "cnn4", "BATCH": 6, "GRID": "64x108"}
        done("train", **sounds, **given, VAL="group")
        yield set()


def small(name, words):
    """The same request for the thirty clips: one epoch, two of each list, nothing from
    the network.
    """
    options = options_of(name)
    own = fields(options)
    flags = [word.removeprefix("--").partition("=") for word in as_flags(words)]
    asked = {name.replace("-", "_"): text for name, _, text in flags}
    given = {field: text for field, text in asked.items() if field not in LEFT_OUT}
    if name == "train":
        given = {field: " ".join(text.split()[:2]) for field, text in given.items()}
    changes = {field: text for field, text in SMALL.items() if field in own}
    if name == "train":  # large networks take minutes
        models = re.sub(r"resnet\d+|cnn8", "cnn4", given.get("model", "cnn4"))
        changes["model"] = " ".join(dict.fromkeys(models.split()))
    if Path(given.get("dataset", ""), "index.h5").exists():
        changes.pop("dataset")
    if name.startswith(("train", "features")):
        features = given.get("features", "mel+mfcc")
        several = {"all", "small"} & {*features.split()}
        changes["features"] = "mel mfcc" if several else features
    if "hop" in given:
        changes["hop"] = "0.5"
    if not Path(given.get("audio", "")).exists():
        changes["audio"] = "recording.wav"
    if "run" in given and not given["run"].endswith(".pt"):
        changes["run"] = "mel+mfcc+chroma-cnn4-e1-b6-64x108-val=group"
    changed = given | changes
    return options_from(options, changed)


@pytest.mark.slow
@every_page
def test_the_fenced_commands_of_a_page_run(page, commands_done):
    for name, words, fenced in shown_commands(page):
        if not fenced or name not in known() or "--help" in words:
            continue
        if NOT_HERE.match(" ".join([name, *words])):
            continue
        options = small(name, words)
        # `train` has its runs' options as texts
        asked = getattr(options, "given", None) or vars(options)
        if name in ("train", "importance") and asked["dataset"] == "my sounds":
            features = asked.get("features", RunOptions.features)
            done("features", DATASET="my sounds", FEATURES=features)
        if (name, str(options)) in commands_done:
            continue  # on another page
        commands_done.add((name, str(options)))
        status = function_of(name)(options)
        # a leak may be certain
        assert status in (None, 0) or name == "check" or status.is_file(), words


def test_the_recipe_for_predictions_has_the_score_of_the_run(tmp_path):
    """Parts of files, and classes that pandas could read as numbers or as nothing."""
    classes = ["0", "nan"]
    page = (DOCS / "reference" / "formats.md").read_text(encoding="utf-8")
    (recipe,) = [body for _, body in FENCE.findall(page) if "predictions.csv" in body]
    rows = pd.DataFrame(
        [["a", "g", "test", "last"]] * 4, columns=PREDICTION_COLUMNS[:4]
    )
    rows = rows.assign(target=[*classes, *classes], start=range(4), end=range(1, 5))
    probabilities = np.float32([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    with inside(tmp_path):
        folder = Path("runs", "my sounds", "mel-resnet18")
        write_config(folder, run_config(classes=named(*classes)))
        write_predictions(folder / "fold1", rows, probabilities, classes)
        exec(recipe, found := {})
    assert found["accuracy"] == 0.75
