"""What `data` prints."""

from featurestack.pipeline.datasets import summary
from featurestack.pipeline.options import SourceOptions
from tests.pipeline.datasets.folders import class_folders


def test_faults_are_all_named_or_counted(tmp_path, capsys):
    folder = class_folders(tmp_path / "mine")
    options = SourceOptions(dataset=str(folder), data=tmp_path / "data")
    files = sorted(folder.rglob("*.wav"))
    for broken, left in ((11, 0), (12, 2)):
        for file in files[:broken]:
            file.write_bytes(b"no sound")
        assert summary.summarise_dataset(options) == 1
        told = capsys.readouterr().out
        assert f"{broken} faults" in told
        assert told.count("not audio") == broken - left
        assert ("and 2 more" in told) == bool(left)
