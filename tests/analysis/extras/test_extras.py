"""Each capability can go with its file; who asks for it is told."""

import pytest

from analysis import extras
from commandline.registry import RequestError


@pytest.mark.parametrize("name", extras.EXTRAS)
def test_a_capability_is_found_and_one_whose_file_is_gone_is_named(name, monkeypatch):
    assert extras.load(name)
    monkeypatch.setitem(extras.EXTRAS, name, ("gone", ""))
    with pytest.raises(RequestError, match=f"{name} needs analysis/extras/gone.py"):
        extras.load(name)
