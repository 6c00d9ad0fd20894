"""Each capability can go with its file, and the report goes on without it."""

import sys

import pytest

from analysis import extras


@pytest.mark.parametrize("name", sorted(extras.EXTRAS))
def test_a_capability_is_found_and_one_whose_file_is_gone_is_none(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = extras.load(name)
    assert module is not None
    monkeypatch.delitem(sys.modules, module.__name__)
    monkeypatch.setattr(extras, "__path__", [])
    assert extras.load(name) is None
