"""Examples in docstrings (`>>>`) give what they say. An example that needs files stands
without `>>>`.
"""

import doctest
import importlib

import pytest

import featurestack as fs
from featurestack.base import extras
from tests.test_structure import MODULES

WITH_EXAMPLES = [
    name for name, path in MODULES.items() if ">>> " in path.read_text(encoding="utf-8")
]


# their examples make the synthetic sounds
OF_SYNTH = {"cli.functions", "cli.audio", "cli.notebook"}
OF_SYNTH |= {
    place.partition(":")[0].removeprefix("featurestack.")
    for place in extras.FUNCTIONS.values()
} & {*WITH_EXAMPLES}
SLOW = [pytest.param(n, marks=pytest.mark.slow) for n in sorted(OF_SYNTH)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("examples")


@pytest.mark.parametrize(
    "name", [*(n for n in WITH_EXAMPLES if n not in OF_SYNTH), *SLOW]
)
def test_examples_give_what_they_say(name, folder, monkeypatch):
    if name in OF_SYNTH:
        monkeypatch.chdir(folder)
        cache = fs.extract("synth", "rms zcr", jobs=1, quiet=True)
        fs.fit(cache, "rms+zcr", model="ridge", quiet=True)
    module = importlib.import_module(f"featurestack.{name}")
    found = doctest.testmod(
        module, extraglobs={"fs": fs}, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert found.attempted
    assert not found.failed
