"""Examples in docstrings (`>>>`) give what they say. An example that needs files stands
without `>>>`.
"""

import doctest
import importlib

import pytest

import featurestack as fs
from tests.test_structure import MODULES

WITH_EXAMPLES = [
    name for name, path in MODULES.items() if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_say(name):
    module = importlib.import_module(f"featurestack.{name}")
    found = doctest.testmod(
        module, extraglobs={"fs": fs}, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert found.attempted
    assert not found.failed
