"""The name and the folder of a DATASET."""

from pathlib import Path

from featurestack.features_cache.datasets import cache_folder, dataset_name
from tests.cases import cases


@cases("dataset", "name", "called")
def test_a_dataset_is_called_by_its_name_or_stem(
    dataset, name, called, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/birds.csv").touch()
    name = name or None
    assert dataset_name(dataset, name) == called
    folder = cache_folder(dataset, Path("data"), name)
    assert folder == Path("data") / called / "features"


def test_a_cache_is_used_where_it_is(cache, tmp_path, monkeypatch):
    assert cache_folder(str(cache.folder), Path("data")) == cache.folder
    assert dataset_name(str(cache.folder)) == "brought"
    cache.folder.rename(tmp_path / "features")
    assert dataset_name(str(tmp_path / "features")) == tmp_path.name
    (tmp_path / "sounds.v2").mkdir()
    assert dataset_name(str(tmp_path / "sounds.v2")) == "sounds.v2"
    monkeypatch.chdir(tmp_path)
    assert dataset_name(".") == tmp_path.name
