"""The spelling of commands in messages."""

import os

from tests.golden.commands import ROOT
from tests.processes import python


def test_a_removed_working_folder_can_still_import_the_package(tmp_path):
    folder = tmp_path / "removed"
    folder.mkdir()
    script = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); os.chdir({str(folder)!r});"
        f" os.rmdir({str(folder)!r}); import featurestack;"
        " from featurestack.commandline.spelling import make_command;"
        " print(make_command('train'))"
    )
    done = python("-c", script, environment=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.stdout == "python -m featurestack train\n"
