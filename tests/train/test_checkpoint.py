"""last.pt and best.pt: a flipped bit and weights that are not finite are refused."""

import copy
import io
import random
import zipfile

import pytest
import torch

from featurestack.commandline.errors import RequestError
from featurestack.train import checkpoint
from tests.refusal import refused


def saved(file):
    """The loaded content as bytes."""
    torch.save(checkpoint.load(file), buffer := io.BytesIO())
    return buffer.getvalue()


def state(**changes):
    head = torch.linspace(-1, 1, 24).reshape(3, 8)
    network = {"scale": torch.linspace(1, 2, 8), "head.weight": head}
    statistics = [{"centre": [0.0, 1.0], "scale": [1.0, 2.0]}]
    known = {"fold": 1, "epoch": 1, "rows": ["1,0.1"]}
    return known | {"network": network, "statistics": statistics} | changes


def test_a_flipped_bit_anywhere_is_named_or_changes_nothing(tmp_path):
    file = tmp_path / "last.pt"
    rng = random.Random(0)
    checkpoint.save(file, state())
    whole = file.read_bytes()
    sound = saved(file)
    named = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        file.write_bytes(damaged)
        try:
            assert saved(file) == sound
        except RequestError as error:
            assert str(error).startswith(
                f"{file} cannot be read"
            ) and "train again" in str(error)
            named += 1
    assert named > 60  # a file this small is mostly padding


def rewritten(file, compression=zipfile.ZIP_STORED, times=1):
    """Write the archive's entries again, the largest one `times` times."""
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
        contents = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        # further names of the same bytes
        for number in range(1, times):
            again = copy.copy(largest)
            again.filename = f"{largest.filename}-{number}"
            archive.filelist.append(again)


def test_an_archive_that_would_grow_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile.ZipFile, "testzip", None)  # a call fails
    monkeypatch.setattr(torch, "load", None)
    file = tmp_path / "last.pt"
    checkpoint.save(file, state(network={"head": torch.zeros(10_000)}))
    rewritten(file, zipfile.ZIP_DEFLATED)
    with refused("it is compressed, as no file of torch is"):
        checkpoint.load(file)
    checkpoint.save(file, state(network={"head": torch.zeros(10_000)}))
    rewritten(file, times=3)
    with refused("its entries are larger than the file"):
        checkpoint.load(file)


def of(tensor):
    return state(network={"head": tensor})


REFUSED = {
    "damaged, of another kind, or holds more than data": (
        *(b"", b"# notes", b"PK\x03\x04 and no more"),
    ),
    "no checkpoint of a fold": (
        *([], {"layer.weight": torch.zeros(1)}, {"network": {}, "rows": []}),
    ),
    "'head' holds numbers that are not finite": (
        *(of(torch.tensor([1, bad])) for bad in (float("nan"), float("inf"))),
    ),
    "tensors that are larger than what is stored of them": (
        of(torch.zeros(1).expand(10**6, 10**6)),
    ),
    "tensors without values or of complex numbers": (
        *(of(torch.zeros(3, device="meta")), of(torch.zeros(3) * 1j)),
    ),
    r"fold1/last.pt cannot be read as weights \(it is of fold 2\)": (state(fold=2),),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_no_sound_checkpoint_of_the_fold_is_refused(tmp_path, reason):
    file = tmp_path / "fold1" / "last.pt"
    file.parent.mkdir()
    for content in REFUSED[reason]:
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            checkpoint.save(file, content)
        with refused(reason):
            checkpoint.load(file)
