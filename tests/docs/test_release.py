"""What a release needs is complete but for the address."""

import pytest

from docs import release

NEVER_OPEN = ("version", "citation", "dockerfile")


@pytest.mark.parametrize("name", NEVER_OPEN)
def test_nothing_is_open_here(name):
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
