"""Bad input: the exit status, and words of the message.

A line is `command NAME=value … -> words that the message must hold`: the value given,
the nearest name, the way out.
"""

import json
import shutil
from pathlib import Path

from featurestack.features_cache import external
from tests.golden.commands import command, flip_bit

# data/easy/features and runs/plain come from the golden outputs, damaged copies of both
# from `prepare`.
REQUESTS = """
faetures -> faetures features
features DATASETT=easy -> DATASETT DATASET
features DATASET=esc5O -> esc5O
features DATASET=easy.csv AUDIO_DIR=easy FEATURES=mle -> mle mel
features DATASET=easy.csv AUDIO_DIR=easy FEATURES=mel@n_mel=64 -> n_mel n_mels
data DATASET=easy.csv AUDIO_DIR=easy ALTER=ptich -> ptich pitch
data DATASET=easy.csv AUDIO_DIR=easy COPIES=3 -> COPIES=3 ALTER
data DATASET=easy.csv AUDIO_DIR=easy ALTER=gain NAME=easy -> NAME=easy-altered
features DATASET=easy.csv AUDIO_DIR=easy DURATION=0.05 FEATURES=mel_delta -> mel_delta
features DATASET=easy.csv AUDIO_DIR=easy SAMPLE_RATE=8000 FEATURES=cqt -> cqt 4000
features DATASET=easy.csv AUDIO_DIR=easy GROUP=reocrding -> reocrding
features DATASET=easy.csv AUDIO_DIR=nowhere NAME=other -> nowhere
features DATASET=easy NAME=easy -> easy NAME=
features DATASET=easy.csv AUDIO_DIR=easy SCHEDULER=dask -> SCHEDULER=dask tcp
features DATASET=no_label.csv -> no_label.csv label
features DATASET=no_rows.csv -> no_rows.csv
features DATASET=twice.csv AUDIO_DIR=easy -> bell0-A
features DATASET=bad_fold.csv AUDIO_DIR=easy -> one fold
features DATASET=hollow -> hollow
data DATASET=esc50 ARCHIVE=nowhere.zip DATA=fresh -> nowhere.zip
train DATASET=easy.csv FEATURES=pcen -> pcen features
train DATASET=easy.csv FEATURES=mel:0-900 -> 900 127
train DATASET=one_fold/features FEATURES=a+tempogram -> lacks tempogram audio write_feature
train DATASET=easy.csv MODEL=resnet81 -> resnet81 resnet18
train DATASET=easy.csv MODEL=cnn8@widht=8 -> widht width
train DATASET=easy.csv MODEL=aclnet FEATURES=mel -> aclnet waveform
train DATASET=easy.csv FEATURES=waveform MODEL=cnn8 -> waveform
train DATASET=easy.csv FOLDS=9 -> 9
train DATASET=easy.csv PATIENCE=3 -> PATIENCE VAL
train DATASET=easy.csv AUGMENT=mixpu -> mixpu mixup
train DATASET=easy.csv AUGMENT=polarity -> polarity
train DATASET=easy.csv WEIGHTS=nowhere.pt -> nowhere.pt
train DATASET=easy.csv FEATURES=mel DATA=fresh -> there are no features fresh
train DATASET=one_fold/features FEATURES=a -> fold
train DATASET=easy.csv FEATURES='mel mfcc' MODEL=aclnet -> aclnet none
importance DATASET=easy.csv FEATURES=mel -> mel two
predict RUN=last RUNS=runs/plain -> AUDIO
predict RUN=last RUNS=nowhere AUDIO=easy -> nowhere
predict mfc RUNS=runs/plain AUDIO=easy -> mfc
predict RUN=last RUNS=runs/plain AUDIO=nowhere.wav -> nowhere.wav
predict RUN=last RUNS=runs/plain AUDIO=easy/bell HOP=100 -> HOP 100
predict RUN=last RUNS=runs/plain AUDIO=easy/bell OUT=a.txt -> OUT .csv
predict RUN=last RUNS=torn AUDIO=easy/bell -> run.json
predict RUN=last RUNS=rewritten AUDIO=easy/bell -> last.pt
predict text.pt AUDIO=easy/bell -> text.pt
bundle RUN=last RUNS=runs/plain OUT=nowhere/a.pt -> nowhere
remove RUNS=runs/plain -> RUN
"""

FAILED = """
verify DATASET=flipped/features -> mel
verify DATASET=cut/features -> mel.h5 cannot be read
"""

DONE = """
train DATASET=flipped/features FEATURES=mel MODEL=linear FOLDS=1 RUNS=fresh -> 1 clip left out damaged
"""


def requests(lines):
    pairs = [line.split(" -> ") for line in lines.strip().splitlines()]
    return [(words.strip(), named.split()) for words, named in pairs]


def prepare(run):
    """Make the files that the requests name in the current folder; `run` is a finished
    run in runs/plain.
    """
    Path("hollow").mkdir()
    Path("text.pt").write_text("no bundle")
    Path("no_label.csv").write_text("filename\nbell/bell0-A.wav\n")
    Path("no_rows.csv").write_text("filename,label\n")
    sound = "bell/bell0-A.wav,bell"
    Path("twice.csv").write_text(f"filename,label\n{sound}\n{sound}\n")
    Path("bad_fold.csv").write_text(f"filename,label,fold\n{sound},one\n")
    features = Path("data/easy/features")
    for name in ("cut", "flipped"):
        shutil.copytree(features, f"{name}/features")
    with Path("cut/features/mel.h5").open("r+b") as file:
        file.truncate(60_000)
    flip_bit(Path("flipped/features/mel.h5"), 100_000)
    clips = {"clip_id": ["1", "2"], "label": ["x", "y"], "fold": [1, 1]}
    one_fold = Path("one_fold/features")
    external.create_cache(one_fold, clips)
    external.write_feature(one_fold, "a", [[1.0], [2.0]], clips["clip_id"])
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
            end = answer.err[-300:].strip()
            faults.append(f"{words}: {answer.status}, without {missing}: {end}")
    return faults
