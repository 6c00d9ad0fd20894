"""Every command that the documentation shows: its target, its options, and what it does on few clips."""

import dataclasses
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import soundfile

from commandline.commands import Command, commands, options_of
from commandline.options import MAKES_OWN, parse
from features_cache.names import parse_list
from pipeline.extract import run as extract
from pipeline.features import FEATURES
from pipeline.options import FeaturesCommand
from results.run_folder import find
from tests.train.sounds import CLASSES, RATE, sound

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in DOCS.rglob("*.md") if not {"out", "generated"} & set(p.relative_to(DOCS).parts)),
]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TARGETS = {
    "train": "train run",
    "sweep": "train sweep",
    "importance": "train importance",
    "predict": "train predict",
    "data": "pipeline data",
    "features": "pipeline features",
    "analysis": "analysis",
    "bench": "bench",
    "demo": "demo",
}
WITHOUT_OPTIONS = {"help", "test", "setup", "docs", "check"}
PYTHONS = {"python", "python3", ".venv/bin/python"}
PLACEHOLDER = re.compile(r"…|\.\.\.|<\w+>|\$")  # a value that stands for something of the reader's


class Shown(NamedTuple):
    """A command as a page shows it: the words, and whether they stand in a fence of their own."""

    page: Path
    words: tuple[str, ...]
    fenced: bool


def segments(line: str) -> Iterator[tuple[str, ...]]:
    """The commands of a line: split at && ; | and without redirections, comments and settings before it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&><")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|;&"):
            yield tuple(words)
            words = []
        else:
            words.append(word)


def commands_of(page: Path) -> Iterator[Shown]:
    """Every make and `python -m` of a page, in fences and in running text."""
    text = page.read_text(encoding="utf-8")
    fences = [body for language, body in FENCE.findall(text) if language in ("", "bash", "sh", "console")]
    lines = [(line, True) for body in fences for line in body.replace("\\\n", " ").splitlines()]
    running = re.sub(r"\s+", " ", FENCE.sub("", text))
    lines += [(code, False) for code in re.findall(r"`((?:make|python -m) [^`]+)`", running)]
    for line, fenced in lines:
        line = line.removeprefix("$ ")
        if not re.search(r"(?<![\w-])(make|python3?|torchrun) ", line):
            continue
        if line.startswith(("#", "next:", "then:")):
            continue
        for words in segments(line):
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words and (words[0] == "make" or words[0] in PYTHONS or words[0].endswith("torchrun")):
                yield Shown(page, tuple(cut_at_redirection(words)), fenced)


def cut_at_redirection(words: tuple[str, ...]) -> tuple[str, ...]:
    at = next((number for number, word in enumerate(words) if set(word) <= set("<>")), len(words))
    return words[:at]


def module_and_rest(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """`pipeline features` and its options, for make, python -m and torchrun alike."""
    if words[0] == "make":
        target, rest = words[1] if len(words) > 1 else "help", words[2:]
        return TARGETS.get(target, target), rest
    if "-m" not in words:
        return "", ()
    at = words.index("-m")
    module, rest = words[at + 1], words[at + 2 :]
    stages = {name.split()[0] for name, _ in commands() if " " in name}
    if module in stages and rest and not rest[0].startswith("-"):
        return f"{module} {rest[0]}", rest[1:]
    return module, rest


def shown_commands(page: Path) -> list[Shown]:
    return list(commands_of(page)) if page.exists() else []


@cache
def known() -> dict[str, Command]:
    return dict(commands())


def with_values(rest: tuple[str, ...]) -> list[str]:
    """Options as given, those left out whose value is a placeholder."""
    return [word for word in rest if not PLACEHOLDER.search(word)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_exists_and_takes_its_options(page, capsys):
    """The parser of each command reads the options shown; an option that would be ignored fails as well."""
    for shown in shown_commands(page):
        name, rest = module_and_rest(shown.words)
        if shown.words[0] == "make" and name in WITHOUT_OPTIONS:
            assert all(word.split("=")[0] in MAKES_OWN for word in rest), shown.words
            continue
        if name not in known():
            assert is_module(name), f"{page.name}: {' '.join(shown.words)}"
            continue
        given = [word for word in with_values(rest) if word.split("=")[0] not in MAKES_OWN]
        given = [word for word in given if not re.match("RECIPE=.*/", word)]  # a file of the reader's own
        if "--help" in given:
            continue
        required = name == "features_cache import" and not any("=" not in word for word in given)
        options = parse(options_of(known()[name]), [*given, *(["x.h5"] if required else [])])
        said = capsys.readouterr().err
        assert "does not apply" not in said, f"{page.name}: {' '.join(shown.words)}: {said}"
        check_names(options)


def is_module(name: str) -> bool:
    """A module that can be run, of this project or one that its users have (pip, venv, sphinx, pytest)."""
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists() or name in THEIRS


THEIRS = {"venv", "pip", "pytest", "sphinx", "http.server", "jupyter", ""}


def check_names(options: Any) -> None:
    """The features, models and recipes that are named exist; `crest` is the worked example's own."""
    features = getattr(options, "features", "")
    own = [*FEATURES, "crest", "embedding", "tensor"]
    parse_list(features, own) if features else None
    for model in as_tuple(getattr(options, "model", ())):
        if model not in ("tiny", "tiny@width=32"):
            from train.models.registry import find_model

            assert all(find_model(part.split("@")[0]) for part in model.split("+"))


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_options_of_the_benches_exist(page):
    for shown in shown_commands(page):
        name, rest = module_and_rest(shown.words)
        if name.startswith(("bench.", "pipeline.")):
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    name,
                    *[w for w in rest if "=" not in w and not w.startswith("-")],
                    "--help",
                ],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            for word in rest:
                if "=" in word:
                    assert f"--{word.split('=')[0].lower().replace('_', '-').lstrip('-')}" in done.stdout, (
                        shown.words
                    )


def test_a_page_with_a_wrong_option_or_an_unknown_module_is_found(tmp_path, capsys):
    for wrong in (
        "make train DATASETT=x",
        "python -m nowhere",
        "make features VAL=group",
        "make train MODEL=resnet19",
    ):
        page = tmp_path / "page.md"
        page.write_text(f"```\n{wrong}   # as shown\n```\n")
        with pytest.raises(Exception, match=r"unknown|nowhere|does not apply"):
            test_every_command_exists_and_takes_its_options(page, capsys)


# What can run here runs, on thirty clips of a second


NOT_HERE = {
    "train listen": "waits for live audio",
    "bench": "takes minutes",
    "demo": "the whole check runs it",
}
MAY_FIND_FAULTS = {"pipeline check"}  # exit status 1 is its answer where a leak is certain
SMALL = {
    "epochs": 1,
    "batch": 6,
    "precision": "fp32",
    "threads": "1",
    "curve": 0,
    "passes": 1,
    "seed": 0,
    "task": "classes",
}
SMALL |= {"recipe": "", "weights": ""}
PLACES = {"data": Path("data"), "runs": Path("runs"), "reports": Path("reports")}
LEFT_OUT = ("name", "archive", "url", "audio_dir", "sample_rate", "duration", "scheduler", "part")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds by class, five source recordings of each, two clips of a recording; an audio file; a recipe."""
    folder = tmp_path_factory.mktemp("documents")
    for label in CLASSES:
        (folder / "my sounds" / label).mkdir(parents=True)
        for take in range(10):
            name = f"{label} {take // 2}-{'AB'[take % 2]}.wav"
            soundfile.write(folder / "my sounds" / label / name, sound(label, take), RATE, subtype="FLOAT")
    soundfile.write(folder / "recording.wav", sound("tone", 77, seconds=3.0), RATE)
    (folder / "my").mkdir()
    (folder / "my" / "recipe.txt").write_text("# A schedule of my own.\nSCHEDULE=cosine\nWARMUP=1\n")
    return folder


def small(options: Any) -> Any:
    """The same options on the thirty clips, with one epoch and nothing from the network."""
    if hasattr(options, "given"):
        return small_sweep(options)
    fields = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    changes: dict[str, Any] = {name: value for name, value in PLACES.items() if name in fields}
    standard = {field.name: field.default for field in dataclasses.fields(options)}
    changes |= {name: standard[name] for name in LEFT_OUT if name in fields}
    if "dataset" in fields and not Path(fields["dataset"], "index.h5").exists():
        changes["dataset"] = "my sounds"
    if fields.get("group") not in (None, "(.*)-[A-Z]"):  # of other file names, or a column
        changes["group"] = None
    if "epochs" in fields:
        wanted = SMALL | ({} if "crop=" in str(fields["augment"]) else {"grid": "64x108"})
        for name, value in wanted.items():  # a sweep has lists of most
            changes[name] = (value,) if isinstance(fields[name], tuple) else value
        lists = {name: value[:2] for name, value in fields.items() if isinstance(value, tuple)}
        changes = lists | changes | {"device": "cpu", "folds": (1, 2)}
    if type(options).__name__ == "ImportOptions":
        changes["data"] = Path("elsewhere")  # an import into the cache that was exported is refused
    if "features" in fields:
        sets = fields["features"].split()
        changes["features"] = "mel mfcc" if {"all", "small"} & set(sets) else " ".join(sets[:2])
    if "audio" in fields and fields["audio"] is not None:
        changes["audio"] = Path("recording.wav" if fields["audio"].suffix else "my sounds/tone")
    if fields.get("hop"):
        changes["hop"] = 0.5
    if "run" in fields:
        changes["run"] = () if isinstance(fields["run"], tuple) else fields["run"]
        if changes["run"] and not str(changes["run"]).endswith(".pt"):
            changes["run"] = "last"
    if fields.get("ensemble"):
        changes["ensemble"] = tuple(run.name for run in find(Path("runs"))[:2])
    return dataclasses.replace(options, **changes)


def small_sweep(options: Any) -> Any:
    """A sweep's options are texts, of which most may be lists: the first two of each."""
    given = {name: text for name, text in options.given.items() if name not in LEFT_OUT}
    given = {name: " ".join(text.split()[:2]) for name, text in given.items()}
    wanted = SMALL | ({} if "crop=" in options.given.get("augment", "") else {"grid": "64x108"})
    given |= {name: str(value) for name, value in (wanted | PLACES).items() if name != "reports"}
    if not Path(options.dataset, "index.h5").exists():
        given["dataset"] = "my sounds"
    if {"all", "small"} & set(options.given.get("features", "").split()):
        given["features"] = "mel mfcc"
    return type(options).build(given | {"device": "cpu", "folds": "1 2"})


def runs_here(name: str, options: Any) -> bool:
    elsewhere = getattr(options, "backend", "") == "dask" or "wandb" in str(getattr(options, "tracker", ""))
    networks = "embedding@" in str(getattr(options, "features", ""))  # a network's file of the reader's
    return name in known() and name not in NOT_HERE and not elsewhere and not networks


def prepare(name: str, options: Any) -> None:
    """What a page may take for granted: the features that a training needs, a run that a reader has."""
    if name in ("train run", "train sweep", "train importance") and options.dataset == "my sounds":
        given = getattr(options, "given", {})
        copies = max(map(int, given.get("copies", str(getattr(options, "copies", 0))).split())) or None
        features = given.get("features", options.features)
        assert not extract(extraction(features, copies))
    if name in ("train predict", "train explain", "train bundle", "analysis") and not find(Path("runs")):
        assert not extract(extraction("mel mfcc chroma"))
        words = [
            "DATASET=my sounds",
            "FEATURES=mel+mfcc+chroma",
            "EPOCHS=1",
            "MODEL=cnn4",
            "BATCH=6",
            "VAL=group",
        ]
        assert not known()["train run"](parse(options_of(known()["train run"]), [*words, "GRID=64x108"]))
    if name.startswith("features_cache") or name == "pipeline verify":
        assert not extract(extraction("mel mfcc chroma"))


def extraction(features: str, copies: int | None = None) -> FeaturesCommand:
    return FeaturesCommand(dataset="my sounds", features=features, copies=copies, jobs=1)


ALREADY_RUN: set[tuple[str, str]] = set()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_fenced_commands_of_a_page_run(page, workshop, tmp_path, monkeypatch):
    """In the order of the page, in a folder of its own; what another page has run alike is not run again."""
    shutil.copytree(workshop, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    if page.stem in ("share", "README"):  # they train on what the example of share.md writes
        rows = [
            f"clip{clip}.wav,{start},{start + 3},{clip},{start}" for clip in range(40) for start in (0, 3)
        ]
        Path("embeddings.csv").write_text("\n".join(["file,start,end,value1,value2", *rows]))
        for language, body in FENCE.findall((DOCS / "howto" / "share.md").read_text(encoding="utf-8")):
            exec(body if language == "python" else "", {})
    before = ""
    for shown in shown_commands(page):
        name, rest = module_and_rest(shown.words)
        if not shown.fenced or name not in known() or "--help" in rest:
            continue
        given = [word for word in with_values(rest) if word.split("=")[0] not in MAKES_OWN]
        options = parse(options_of(known()[name]), given)
        if not runs_here(name, options):
            continue
        if (
            dataset := getattr(options, "dataset", before)
        ) != before:  # all of them are the thirty clips here
            before = dataset
            for folder in ("data", "runs"):
                shutil.rmtree(Path(folder, "my sounds"), ignore_errors=True)
        options = small(options)
        if (name, repr(options)) in ALREADY_RUN:
            continue
        ALREADY_RUN.add((name, repr(options)))
        prepare(name, options)
        status = known()[name](options)
        assert status in (None, 0) or name in MAY_FIND_FAULTS, " ".join(shown.words)
