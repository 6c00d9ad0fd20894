"""`data`: what it says of a dataset."""

import subprocess
import sys
from pathlib import Path

from pipeline.datasets import load
from pipeline.datasets.summary import dataset_summary
from tests.pipeline.datasets.folders import class_folders, esc_layout

ROOT = Path(__file__).resolve().parents[3]


def test_the_summary_shows_imbalance_and_sources_in_several_folds(tmp_path):
    rows = [f"{n}.wav,1,0,dog,{n},A" for n in range(9)] + ["x.wav,1,1,cat,3,A", "y.wav,2,1,cat,3,B"]
    shown = dataset_summary(load(str(esc_layout(tmp_path / "mine", rows)), tmp_path / "data"))
    assert "unbalanced: 9 clips of dog and 2 of cat; look at balanced accuracy" in shown
    assert "in several folds: 1 source recording (3)" in shown


def test_the_command_summarises_and_names_the_next_command(tmp_path):
    folder = class_folders(tmp_path / "my sounds")
    (folder / "dog" / "dog0-A.wav").unlink()
    command = [sys.executable, "-m", "pipeline", "data", f"DATASET={folder}", f"DATA={tmp_path / 'data'}"]
    done = subprocess.run(
        [*command, "GROUP=(.*)-[A-Z]"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "my sounds: 19 clips, 2 classes, 5 folds, 19 source recordings" in done.stdout
    assert f"next: make features 'DATASET={folder}'" in done.stdout
    (tmp_path / "list.csv").write_text("filename,label\nmissing.wav,dog\n" + f"{folder}/dog/dog1-A.wav,dog\n")
    command[4] = f"DATASET={tmp_path / 'list.csv'}"
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"missing: {tmp_path / 'missing.wav'}" in done.stdout


def test_categories_are_shown_where_the_dataset_has_its_own(tmp_path):
    shown = dataset_summary(load(str(class_folders(tmp_path / "mine")), tmp_path / "data"))
    assert "class  clips  sources  fold 1" in shown and "animals" not in shown
    rows = [f"{n}.wav,{1 + n % 2},0,dog,{n},A" for n in range(9)]
    shown = dataset_summary(load(str(esc_layout(tmp_path / "layout", rows)), tmp_path / "data"))
    assert "class  clips  sources  category  fold 1" in shown and "animals" in shown
