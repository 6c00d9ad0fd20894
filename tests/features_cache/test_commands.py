"""`python -m features_cache …`: what a user sees."""

import re

import numpy as np
import pytest

from commandline.registry import RequestError
from features_cache import Cache
from features_cache.__main__ import FileOptions, ShareOptions, export, import_, info, verify
from features_cache.index import read_index, refresh
from features_cache.layout import read_header
from pipeline.options import DatasetOptions


def options(cache, kind=ShareOptions, **given):
    return kind(dataset=str(cache.folder), **given)


def test_info_lists_features_and_clips(cache, capsys):
    info(options(cache, DatasetOptions))
    shown = capsys.readouterr().out
    assert shown.startswith("brought: 8 clips and 0 altered copies without audio, 8000 Hz, 1 s\n")
    assert re.search(r"^mine +4 +5 +8 +0\.1 +float16 +0\.00\d+ +dB +20\d\d-", shown, re.MULTILINE)


def test_info_lists_damage_and_of_rows_that_belong_to_no_clip(cache, capsys):
    clips, settings = read_index(cache.folder)
    refresh(cache.folder, clips.iloc[:6].reset_index(drop=True), settings)
    info(options(cache, DatasetOptions))
    assert "mine: 2 rows of clips that the index no longer has" in capsys.readouterr().out
    (cache.folder / "mine.h5").write_bytes(b"")
    info(options(cache, DatasetOptions))
    assert "mine.h5 cannot be read" in capsys.readouterr().out


def test_verify_ends_with_1_where_something_is_damaged(cache, capsys):
    assert verify(options(cache)) == 0
    assert "mine: 8 clips intact" in capsys.readouterr().out
    file = read_header(cache.folder / "mine.h5")
    with file.path.open("r+b") as opened:
        opened.seek(file.values_offset)
        opened.write(b"\xff\xff")
    assert verify(options(cache)) == 1
    assert "mine: clip0 damaged" in capsys.readouterr().out


def test_a_feature_that_is_not_there_is_refused_with_the_nearest(cache):
    with pytest.raises(RequestError, match="did you mean 'mine'"):
        verify(options(cache, features="mien"))


def test_export_import_and_verify_of_the_file(cache, tmp_path, capsys):
    file = tmp_path / "shared.h5"
    assert export(options(cache, file=file)) == 0
    assert verify(options(cache, file=file)) == 0
    import_(FileOptions(dataset="brought", data=tmp_path / "data", file=file))
    assert "intact" in capsys.readouterr().out
    assert Cache(tmp_path / "data" / "brought" / "features").readable(["mine"]).all()


def test_clips_that_are_not_done_are_no_failure(cache):
    read_header(cache.folder / "mine.h5").forget(np.array([1]))
    assert verify(options(cache)) == 0


def test_a_mistyped_dataset_gets_the_nearest_and_the_list(tmp_path):
    given = {"data": tmp_path, "dataset": "esc05"}
    for command, options in ((info, DatasetOptions(**given)), (verify, ShareOptions(**given))):
        with pytest.raises(RequestError, match=r"did you mean.*Known: esc10, esc50, synth"):
            command(options)
