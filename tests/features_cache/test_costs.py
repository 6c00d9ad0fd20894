"""costs.csv: the costs of features add up, each once."""

from featurestack.features_cache import external
from featurestack.features_cache.side_files import write_costs
from tests.features_cache.conftest import CLIPS


def test_a_feature_costs_once_and_seconds_need_all(cache, values):
    external.write_feature(cache.folder, "little", values[:, :1, :2], CLIPS)
    assert cache.extraction_cost(["mine", "mine", "little"]) == {
        "megabytes": 8 * (20 + 2) * 2 / 1e6
    }
    write_costs(cache.folder, {"mine": 0.25}, {"mine": 3})
    write_costs(cache.folder, {"mine": 0.5}, {"mine": 4})
    write_costs(cache.folder, {"mine": 9.0}, {"mine": 1})  # fewer clips than before
    assert "seconds" not in cache.extraction_cost(["mine", "little"])
    assert cache.extraction_cost(["mine", "mine"])["seconds"] == 8 * 0.5
