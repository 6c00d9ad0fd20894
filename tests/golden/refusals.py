"""Bad input: the exit status, and words of the message.

A line is `command  NAME=value … -> words that the message must hold`. Sentences may
                    change; what is named
(the value given, the nearest name, the way out) may not.
"""

import json
import os
import shutil
import zipfile
from pathlib import Path

from featurestack.features_cache import external
from tests.golden.commands import command, flip_bit

# data/easy/features and runs/plain come from the golden outputs, damaged copies of both
# from `prepare`.
REQUESTS = """
pipeline faetures -> faetures features
pipeline features DATASETT=easy -> DATASETT DATASET
pipeline features DATASET=esc5O -> esc5O
pipeline features DATASET=nowhere/at/all -> nowhere/at/all
pipeline features DATASET=easy.csv AUDIO_DIR=easy FEATURES=mle -> mle mel
pipeline features DATASET=easy.csv AUDIO_DIR=easy FEATURES=mel@n_mel=64 -> n_mel n_mels
pipeline features DATASET=easy.csv AUDIO_DIR=easy FEATURES=mel@n_mels=0 -> n_mels 0
pipeline features DATASET=easy.csv AUDIO_DIR=easy FEATURES=mel@n_mels=many -> n_mels many
pipeline features DATASET=easy.csv AUDIO_DIR=easy FEATURES=mel: -> mel:
pipeline features DATASET=easy.csv AUDIO_DIR=easy FEATURES=mel@n_mels=64,n_mels=32 -> n_mels
pipeline features DATASET=easy.csv AUDIO_DIR=easy DTYPE=float8 -> float8 float16
pipeline features DATASET=easy.csv AUDIO_DIR=easy JOBS=0 -> JOBS 0
pipeline features DATASET=easy.csv AUDIO_DIR=easy JOBS=two -> two
pipeline features DATASET=easy.csv AUDIO_DIR=easy COPIES=-1 -> COPIES -1
pipeline features DATASET=easy.csv AUDIO_DIR=easy COPIES=1 ALTER=ptich -> ptich pitch
pipeline features DATASET=easy.csv AUDIO_DIR=easy COPIES=1 ALTER= -> ALTER
pipeline features DATASET=easy.csv AUDIO_DIR=easy PART=3 -> PART 3
pipeline features DATASET=easy.csv AUDIO_DIR=easy PART=4/3 -> PART 4/3
pipeline features DATASET=easy.csv AUDIO_DIR=easy PART=0/3 -> PART 0/3
pipeline features DATASET=easy.csv AUDIO_DIR=easy SAMPLE_RATE=0 -> SAMPLE_RATE 0
pipeline features DATASET=easy.csv AUDIO_DIR=easy DURATION=-1 -> DURATION -1
pipeline features DATASET=easy.csv AUDIO_DIR=easy DURATION=nan -> DURATION nan
pipeline features DATASET=easy.csv AUDIO_DIR=easy DURATION=0.05 FEATURES=mel_delta -> mel_delta
pipeline features DATASET=easy.csv AUDIO_DIR=easy SAMPLE_RATE=8000 FEATURES=cqt -> cqt 4000
pipeline features DATASET=easy.csv AUDIO_DIR=easy SEED=-1 -> SEED -1
pipeline features DATASET=easy.csv AUDIO_DIR=easy GROUP=reocrding -> reocrding
pipeline features DATASET=easy.csv AUDIO_DIR=nowhere NAME=other -> nowhere
pipeline features DATASET=easy NAME=regex GROUP=(.* -> (.*
pipeline features DATASET=easy NAME=easy -> easy NAME=
pipeline features DATASET=easy NAME=a/b -> a/b
pipeline features DATASET=easy.csv AUDIO_DIR=easy BACKEND=dask -> SCHEDULER
pipeline features DATASET=easy.csv AUDIO_DIR=easy BACKEND=ray -> ray dask
pipeline features DATASET=no_label.csv -> no_label.csv label
pipeline features DATASET=no_rows.csv -> no_rows.csv
pipeline features DATASET=twice.csv AUDIO_DIR=easy -> bell0-A
pipeline features DATASET=bad_fold.csv AUDIO_DIR=easy -> one fold
pipeline features DATASET=hollow -> hollow
pipeline features DATASET=easy.csv AUDIO_DIR=easy FEATURES=rms DATA=text.zip -> text.zip Not a directory
pipeline features DATASET=easy NAME=drawn FEATURES=zcr JOBS=1 -> zcr.h5 no ordinary file
pipeline data DATASET=esc50 ARCHIVE=nowhere.zip DATA=fresh -> nowhere.zip
pipeline data DATASET=esc50 ARCHIVE=text.zip DATA=fresh -> text.zip
pipeline data DATASET=esc50 ARCHIVE=outside.zip DATA=fresh -> outside
pipeline check DATASET=nowhere -> nowhere
pipeline verify DATASET=nowhere -> nowhere
pipeline verify DATASET=easy FEATURES=mle -> mle mel
pipeline verify DATASET=easy RECOMPUTE=-1 -> RECOMPUTE -1
pipeline list mle -> mle mel
pipeline list SAMPLE_RATE=0 -> SAMPLE_RATE 0
features_cache ifno -> ifno info
features_cache info DATASET=nowhere -> nowhere
features_cache verify DATASET=easy FEATURES=chrmoa -> chrmoa chroma
train rnu -> rnu run
train run DATASET=easy FEATURES=mle -> mle mel
train run DATASET=easy FEATURES=pcen -> pcen features
train run DATASET=easy FEATURES=mel@n_mels=64 -> mel@n_mels=64 features
train run DATASET=easy FEATURES=mel:0-900 -> 900 127
train run DATASET=easy FEATURES=mel:9-3 -> 9-3
train run DATASET=easy FEATURES=mel++mfcc -> +
train run DATASET=easy FEATURES='mel mfcc' -> mel+mfcc sweep
train run DATASET=easy MODEL='linear mlp' -> MODEL linear mlp sweep
train run DATASET=easy LR='0.1 0.2' -> LR sweep
train run DATASET=easy VAL='next group' -> VAL sweep
train run DATASET=easy SEED='1 2' -> SEED sweep
train run DATASET=easy FEATURES=mel MODEL=linear FOLDS=1 RUNS=text.zip -> text.zip Not a directory
train run DATASET=one_fold/features FEATURES=a+tempogram -> lacks tempogram audio write_feature
train run DATASET=esc10 NAME=ten DATA=fresh -> features DATASET=esc10 NAME=ten DATA=fresh
train run DATASET=easy MODEL=resnet81 -> resnet81 resnet18
train run DATASET=easy MODEL=cnn8@widht=8 -> widht width
train run DATASET=easy MODEL=cnn8@width=0 -> width 0
train run DATASET=easy MODEL=cnn8+linear -> cnn8+linear
train run DATASET=easy MODEL=aclnet FEATURES=mel -> aclnet waveform
train run DATASET=easy FEATURES=waveform MODEL=cnn8 -> waveform
train run DATASET=easy FOLDS=9 -> 9
train run DATASET=easy FOLDS=0 -> 0
train run DATASET=easy FOLDS=one -> one
train run DATASET=easy EPOCHS=-1 -> EPOCHS -1
train run DATASET=easy EPOCHS=1e3x -> 1e3x
train run DATASET=easy BATCH=1 -> BATCH 1
train run DATASET=easy LR=-1 -> LR -1
train run DATASET=easy LR=nan -> LR nan
train run DATASET=easy SMOOTHING=1 -> SMOOTHING 1
train run DATASET=easy GRID=64 -> GRID 64
train run DATASET=easy GRID=0x64 -> 0x64
train run DATASET=easy TASK=class -> class classes
train run DATASET=easy VAL=nxt -> nxt next
train run DATASET=easy SCHEDULE=plateau -> plateau VAL
train run DATASET=easy WARMUP=1 -> WARMUP onecycle
train run DATASET=easy TTA=10000 -> TTA 9999
train run DATASET=easy PATIENCE=3 -> PATIENCE VAL
train run DATASET=easy AUGMENT=mixpu -> mixpu mixup
train run DATASET=easy AUGMENT=mixup=2 -> mixup 2
train run DATASET=easy AUGMENT=polarity -> polarity
train run DATASET=easy COPIES=5 -> COPIES 5
train run DATASET=easy BALANCE=both -> both loss
train run DATASET=easy OPTIMIZER=adm -> adm adamw
train run DATASET=easy WEIGHTS=nowhere.pt -> nowhere.pt
train run DATASET=easy DEVICE=gpu -> gpu
train run DATASET=easy DEVICE=' ' -> DEVICE empty
train run DATASET=easy PRECISION=fp8 -> fp8 fp32
train run DATASET=easy THREADS=0 -> THREADS 0
train run DATASET=easy THREADS=some -> some
train run DATASET=easy TRACKER=mlfow -> mlfow
train run DATASET=easy CURVE=-1 -> CURVE -1
train run DATASET=easy FEATUERS=mel -> FEATUERS FEATURES
train run DATASET=nowhere FEATURES=mel -> nowhere
train run DATASET=easy FEATURES=mel DATA=fresh -> there are no features pipeline
train run DATASET=cut/features FEATURES=mel -> mel
train run DATASET=one_fold/features FEATURES=a -> fold
train sweep DATASET=easy FEATURES='mel mle' -> mle mel
train sweep DATASET=easy MODEL='cnn4 resnet81' -> resnet81 resnet18
train sweep DATASET=easy SEED='0 x' -> x
train sweep DATASET=easy LR='0.1 -1' -> LR -1
train sweep DATASET=easy SEED='1 2 3 4 5 6 7 8 9 10 11' EPOCHS='1 2 3 4 5 6 7 8 9 10' -> 110 YES=1
train sweep DATASET=easy FEATURES=mel MODEL=aclnet -> aclnet none
train importance DATASET=easy FEATURES=mel -> mel two
train importance DATASET=easy FEATURES='mel mle' -> mle mel
train importance DATASET=easy FEATURES='mel chroma' MODEL=cnn4 -> cnn4 linear ridge
train predict last RUNS=runs/plain -> AUDIO
train predict last RUNS=nowhere AUDIO=easy -> nowhere
train predict mfc RUNS=runs/plain AUDIO=easy -> mfc
train predict last RUNS=runs/plain AUDIO=nowhere.wav -> nowhere.wav
train predict last RUNS=runs/plain AUDIO=hollow -> hollow
train predict last RUNS=runs/plain AUDIO=easy/bell HOP=1 WINDOW=100 -> WINDOW 100
train predict last RUNS=runs/plain AUDIO=easy/bell HOP=1 TABLES=easy -> TABLES events
train predict last RUNS=runs/plain AUDIO=easy/bell GATE=3 -> GATE 3
train predict last RUNS=runs/plain AUDIO=easy/bell REJECT=2 -> REJECT 2
train predict last RUNS=runs/plain AUDIO=easy/bell REJECT=auto -> REJECT number
train predict last RUNS=runs/plain AUDIO=easy/bell OUT=a.txt -> OUT .csv
train predict last RUNS=torn AUDIO=easy/bell -> run.json
train predict last RUNS=rewritten AUDIO=easy/bell -> last.pt
train predict text.pt AUDIO=easy/bell -> text.pt
train bundle last RUNS=runs/plain OUT=nowhere/a.pt -> nowhere
train remove RUNS=runs/plain YES=1 -> RUN
train list resnet81 -> resnet81 resnet18
analysis DATASET=nowhere RUNS=runs/plain -> nowhere
analysis DATASET=easy RUNS=runs/plain RUN=mfc -> mfc
analysis DATASET=easy RUNS=runs/plain FIGURES=-1 -> FIGURES -1
analysis DATASET=easy RUNS=runs/plain FIGUERS=3 -> FIGUERS FIGURES
"""

FAILED = """
features_cache verify DATASET=flipped/features -> mel
features_cache verify DATASET=cut/features -> mel.h5 cannot be read
pipeline features DATASET=odd/clips.csv NAME=odd JOBS=1 FEATURES=mel -> empty text truncated NaN regular
"""

DONE = """
train run DATASET=flipped/features FEATURES=mel MODEL=linear FOLDS=1 RUNS=fresh -> 1 clip left out damaged
"""


def requests(lines):
    pairs = [line.split(" -> ") for line in lines.strip().splitlines()]
    return [(words.strip(), named.split()) for words, named in pairs]


def prepare(run):
    """Make the files that the requests name in the current folder; `run` is a finished
    run in runs/plain.
    """
    Path("hollow").mkdir()
    Path("text.zip").write_text("no archive")
    Path("text.pt").write_text("no bundle")
    with zipfile.ZipFile("outside.zip", "w") as archive:
        archive.writestr("../outside.csv", "x")
    Path("no_label.csv").write_text("filename\nbell/bell0-A.wav\n")
    Path("no_rows.csv").write_text("filename,label\n")
    Path("twice.csv").write_text(
        "filename,label\nbell/bell0-A.wav,bell\nbell/bell0-A.wav,hiss\n"
    )
    Path("bad_fold.csv").write_text("filename,label,fold\nbell/bell0-A.wav,bell,one\n")
    features = Path("data/easy/features")
    for name in ("cut", "flipped"):
        shutil.copytree(features, f"{name}/features")
    with Path("cut/features/mel.h5").open("r+b") as file:
        file.truncate(60_000)
    flip_bit(Path("flipped/features/mel.h5"), 100_000)
    for path in ("data/drawn/features/zcr.h5", "odd/missing.wav"):
        os.mkfifo(path)
    clips = {"clip_id": ["1", "2"], "label": ["x", "y"], "fold": [1, 1]}
    external.create_cache(Path("one_fold/features"), clips)
    external.write_feature(
        Path("one_fold/features"), "a", [[1.0], [2.0]], clips["clip_id"]
    )
    for name in ("torn", "rewritten"):
        shutil.copytree(run.parent, Path(name) / run.parent.name)
    (torn,) = Path("torn").glob("*/*/run.json")
    torn.write_text(json.dumps(json.loads(torn.read_text()))[:200])
    for file in Path("rewritten").glob("*/*/fold*/last.pt"):
        flip_bit(file, file.stat().st_size // 2)


def wrong(lines, status):
    """A line for each request whose answer is wrong."""
    faults = []
    for words, named in requests(lines):
        answer = command(words)
        errors = [line for line in answer.err.splitlines() if line.startswith("error")]
        text = "".join(errors[:1]) if status == 2 else answer.err + answer.out
        missing = [name for name in named if name not in text]
        if answer.status != status or missing or "Traceback" in answer.err:
            faults.append(
                f"{words}: status {answer.status}, without {missing}:"
                f" {answer.err[-300:].strip()}"
            )
    return faults
