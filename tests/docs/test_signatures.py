"""The command that writes the options of commands into signatures."""

import ast

import pytest

from docs import signatures
from featurestack.base.options import DataOptions, option


class Some(DataOptions):
    """Options of a command that only these tests have."""

    lists = frozenset({"rate"})

    rate: float = option(0.5, "a number")
    folds: tuple[int, ...] = option((), "several numbers")
    old: bool = option(False, "a switch")


@pytest.mark.parametrize("file", signatures.modules(), ids=lambda file: file.stem)
def test_every_signature_has_the_options_and_defaults_of_its_command(file):
    wanted = {*signatures.rewritten(file).splitlines()}
    absent = wanted - {*file.read_text(encoding="utf-8").splitlines()}
    assert absent == set(), "python -m docs.signatures writes them"


def test_new_options_and_defaults_are_written_and_those_that_are_gone_removed():
    (function,) = ast.parse(
        "def some(old: bool=True, *, gone: int=1, quiet: bool=False): ..."
    ).body
    assert signatures.signature(function.args, Some) == (
        "old: bool=False, *, data: Path | str='data',"
        " rate: float | Sequence[float]=0.5, folds: int | Sequence[int]=(),"
        " quiet: bool=False"
    )
