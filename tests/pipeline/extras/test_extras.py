"""Without its file a rare capability says so, and nothing else is gone."""

import pytest

from commandline.registry import RequestError
from features_cache.names import parse_channel
from pipeline import extras
from pipeline.features import FEATURES, resolve_feature
from pipeline.options import FeaturesCommand
from pipeline.pool import open_backend


@pytest.mark.parametrize("capability", extras.EXTRAS)
def test_what_was_removed_is_named(capability, monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, capability, ("removed", ""))
    asks = {
        "dask": lambda: open_backend(FeaturesCommand(backend="dask")),
        "embedding": lambda: resolve_feature(parse_channel("embedding@model=net")),
    }
    with pytest.raises(RequestError, match=f"{capability} needs pipeline/extras/removed.py"):
        asks[capability]()
    assert all(resolve_feature(parse_channel(name)) for name in FEATURES)
