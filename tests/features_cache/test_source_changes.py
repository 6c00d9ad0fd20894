"""Changes of a dataset's files since extraction."""

import pandas as pd
import pytest

from featurestack.base.files import content_hash, version_of
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import (
    VERSION_COLUMNS,
    complete,
    with_sources,
)
from featurestack.features_cache.index_file import refresh
from featurestack.features_cache.source_changes import source_changes


@pytest.fixture
def recordings(tmp_path):
    """A folder of four files in two classes."""
    for name in ("dog/1.wav", "dog/2.wav", "cat/1.wav", "cat/2.wav"):
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "sounds"


def cache_of(recordings, source):
    """A cache without features whose clips are the files of `recordings`."""
    files = sorted(recordings.glob("*/*.wav"))
    labels = [file.parent.name for file in files]
    table = {"label": labels, "fold": [1, 2, 1, 2], "path": list(map(str, files))}
    table["clip_id"] = [f"{file.parent.name}/{file.stem}" for file in files]
    clips = with_sources(complete(table), None)
    clips["source_hash"] = [content_hash(file) for file in files]
    clips[[*VERSION_COLUMNS]] = [version_of(file) for file in files]
    settings = {"dataset": "sounds", "source": str(source), "synthetic": 0}
    settings |= {"sample_rate": 8000, "samples": 800}
    folder = recordings.parent / "features"
    folder.mkdir()
    refresh(folder, clips, settings)
    return Cache(folder)


def changes_of(cache, settings):
    return source_changes(cache.sources, settings, cache.folds_csv)


def test_a_hidden_file_is_no_new_clip(recordings):
    cache = cache_of(recordings, recordings)
    (recordings / "dog" / "._1.wav").write_bytes(b"as macOS writes")
    assert changes_of(cache, cache.settings) == ""
    (recordings / "dog" / "3.wav").write_bytes(b"new")
    assert changes_of(cache, cache.settings) == "1 clip new"
    (recordings / "dog" / "1.wav").rename(recordings / "cat" / "3.wav")
    told = "2 clips new, 1 clip removed"
    assert changes_of(cache, cache.settings) == told


def test_a_line_break_in_a_cell_is_no_new_clip(recordings):
    table = recordings.parent / "sounds.csv"
    lines = ["filename,label,remark", 'dog/1.wav,dog,"loud\n\nand near"']
    lines += ["dog/2.wav,dog,", "", "cat/1.wav,cat,", "cat/2.wav,cat,"]
    table.write_text("\n".join(lines))
    cache = cache_of(recordings, table)
    assert changes_of(cache, cache.settings) == ""
    table.write_text("\n".join(lines[:-1]))
    assert changes_of(cache, cache.settings) == "1 clip removed"
    table.write_text("filename,label\na,b,c,d\n")
    # the table is broken: `make features` says so
    assert changes_of(cache, cache.settings) == ""


def test_a_label_that_was_corrected_in_the_table_is_a_change(recordings):
    table = recordings.parent / "sounds.csv"
    rows = [(f"{name}/{n}.wav", name) for name in ("dog", "cat") for n in (1, 2)]
    clips = pd.DataFrame(rows, columns=["filename", "label"])
    clips.to_csv(table, index=False)
    cache = cache_of(recordings, table)
    settings = cache.settings | {"table": content_hash(table)}
    assert changes_of(cache, settings) == ""
    clips.replace({"label": {"cat": "lynx"}}).to_csv(table, index=False)
    assert changes_of(cache, settings) == f"{table.name} was edited"
    clips[:3].to_csv(table, index=False)
    assert changes_of(cache, settings) == "1 clip removed"
