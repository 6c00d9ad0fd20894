"""What a release needs is complete but for the address."""

import pytest

from docs import release

NEVER_OPEN = ("version", "citation", "dockerfile")


@pytest.mark.parametrize("name", NEVER_OPEN)
def test_nothing_is_open_here(name):
    assert release.CHECKS[name]() == ""


@pytest.mark.parametrize(
    ("name", "file", "wrong", "fault"),
    [
        ("version", "CITATION.cff", ("version: 0", "version: 9"), "CITATION 9"),
        ("citation", "CITATION.cff", ("message:", "told:"), "lacks .*message"),
        ("citation", "CITATION.cff", ("- name:", "- alias:"), "no name"),
        ("dockerfile", "Dockerfile", ("WORKDIR", "WORKDIRS"), "WORKDIRS"),
        ("dockerfile", "Dockerfile", ("python:3.13", "python:3.9"), "Python 3.9"),
        ("dockerfile", "Dockerfile", ('["featurestack"]', '["stack"]'), "no command"),
        ("address", "README.md", ("x", "x"), "OWNER is no address"),
    ],
)
def test_what_is_wrong_is_open(monkeypatch, name, file, wrong, fault):
    read = release.read

    def changed(path):
        return read(path).replace(*wrong) if path == file else read(path)

    monkeypatch.setattr(release, "read", changed)
    with pytest.raises(AssertionError, match=fault):
        assert release.CHECKS[name]() == ""


def test_the_owner_is_written_into_every_file(tmp_path, monkeypatch, capsys):
    page = "git clone https://github.com/OWNER/featurestack   # OWNER: no address yet\n"
    (tmp_path / "README.md").write_text(page)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "tracked", lambda: ["README.md"])
    monkeypatch.setattr(release, "CHECKS", {"version": lambda: "no"})
    assert release.main("OWNER=me") == 1
    assert capsys.readouterr().out == "open  version: no\n"
    written = (tmp_path / "README.md").read_text()
    assert written == "git clone https://github.com/me/featurestack\n"
    assert release.main("ME=you") == 2
