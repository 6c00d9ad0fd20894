"""`network` copies a file of the user to models/ if it can be used, and lists what is
there.
"""

import pytest

from featurestack.commandline.errors import RequestError
from featurestack.rooms.embeddings.network_command import NetworkOptions, network
from tests.golden.commands import ROOT

STAGES = ROOT.parent / "shared/resnet18_imagenet/resnet18-stages123.pth"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(not STAGES.is_file(), reason="no weights beside the project")
def test_some_stages_are_taken_and_listed_and_not_replaced(here, capsys):
    network(NetworkOptions(network="resnet18", file=STAGES))
    copy = here / "models" / STAGES.name
    assert copy.read_bytes() == STAGES.read_bytes()
    network(NetworkOptions())
    assert f"there, models/{STAGES.name}" in capsys.readouterr().out
    with pytest.raises(RequestError, match="is there already: remove it first"):
        network(NetworkOptions(network="resnet18", file=STAGES))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet18", "holds no weights|no file of weights|cannot be read"),
        ("yament", "mean 'yamnet'"),
    ],
)
def test_what_cannot_be_used_is_not_kept(here, name, message):
    (here / "mine.pth").write_bytes(b"\0" * 999)
    with pytest.raises(RequestError, match=message):
        network(NetworkOptions(network=name, file=here / "mine.pth"))
    assert not [*here.glob("models/*")]
