"""From the word after DATASET= to a table of clips."""

from dataclasses import replace
from pathlib import Path

from commandline import RequestError, nearest
from features_cache import Cache, dataset_name
from features_cache.location import NAMED, is_cache
from features_cache.table import validate
from pipeline.datasets import class_folders, esc50, esc_layout, synthetic, table_file
from pipeline.datasets.copies import with_copies
from pipeline.datasets.dataset import Dataset, Source
from pipeline.datasets.folds import KeptFolds, with_folds
from pipeline.datasets.groups import with_groups
from pipeline.datasets.survey import survey
from pipeline.options import ExtractOptions, SourceOptions
from pipeline.synth import CATEGORIES as SYNTHETIC


def load(
    dataset: str,
    data: Path = Path("data"),
    *,
    name: str | None = None,
    archive: str | Path | None = None,
    url: str | None = None,
    audio_dir: str | Path | None = None,
    group: str | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    copies: int | None = None,
    alter: str = ExtractOptions.alter,
    seed: int = 0,
) -> Dataset:
    """The dataset that the word names: esc50, esc10, synth, a folder of sounds, a CSV, or a cache folder.

    A named one that is not there yet is downloaded or made. `copies` altered copies of every clip
    follow the originals; None and 0 both give originals only (what a cache holds already is for the
    extraction to keep). `seed` is that of drawn folds and of copies. Drawn folds and GROUP= are kept in
    `<data>/<name>/folds.csv`, so that clips which come later do not move the others, and no later
    command groups them in another way because it was not told.
    """
    data = Path(data)
    if dataset not in NAMED and is_cache(Path(dataset)):
        return _of_cache(Path(dataset), name)
    called = dataset_name(dataset, name)
    source = _source(dataset, data, archive, url, Path(audio_dir) if audio_dir else None)
    origin = dataset if dataset in NAMED else str(Path(dataset).resolve())
    kept = KeptFolds(data / called / "folds.csv", origin)
    group = group or kept.grouped_by
    table, group_notes = with_groups(source, group)
    table, fold_notes = with_folds(table, kept, seed, group)
    source = survey(replace(source, table=table), sample_rate, duration)
    assert source.sample_rate and source.duration
    return Dataset(
        name=called,
        table=validate(with_copies(table, copies or 0, alter, seed)),
        sample_rate=source.sample_rate,
        duration=source.duration,
        source=origin,
        synthetic=set(table["label"]) <= SYNTHETIC.keys(),
        notes=_without_use(dataset, archive, url, audio_dir) + source.notes + group_notes + fold_notes,
    )


def load_for(options: SourceOptions) -> Dataset:
    """The dataset that a command's options ask for: originals alone, unless they speak of copies."""
    extracted = options if isinstance(options, ExtractOptions) else ExtractOptions()
    return load(
        options.dataset,
        options.data,
        name=options.name,
        archive=options.archive,
        url=options.url,
        audio_dir=options.audio_dir,
        group=options.group,
        sample_rate=options.sample_rate,
        duration=options.duration,
        copies=extracted.copies,
        alter=extracted.alter,
        seed=options.seed,
    )


def _source(
    dataset: str, data: Path, archive: str | Path | None, url: str | None, audio_dir: Path | None
) -> Source:
    if dataset in ("esc50", "esc10"):
        folder = esc50.obtain(data, archive=archive, url=url, audio_dir=audio_dir)
        return esc50.subset(esc_layout.read(folder, audio_dir), dataset)
    if dataset == "synth":
        return esc_layout.read(synthetic.make(data / "synth"), audio_dir)
    path = Path(dataset)
    if path.is_dir():
        if esc_layout.is_layout(path, audio_dir):
            return esc_layout.read(path, audio_dir)
        return class_folders.read(path)
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return table_file.read(path, audio_dir)
    raise RequestError(_unknown(dataset))


def _without_use(
    dataset: str, archive: str | Path | None, url: str | None, audio_dir: str | Path | None
) -> tuple[str, ...]:
    """Options that were given and change nothing for this kind of dataset."""
    fetched = dataset in ("esc50", "esc10")
    folder = Path(dataset)
    idle = {
        "ARCHIVE": archive and not fetched,
        "URL": url and not fetched,
        "AUDIO_DIR": audio_dir and folder.is_dir() and not esc_layout.is_layout(folder, Path(audio_dir)),
    }
    return tuple(f"{name} has no use for {dataset} and is left out" for name, given in idle.items() if given)


def _of_cache(folder: Path, name: str | None) -> Dataset:
    """A cache as it is; its table says all, and no audio is needed."""
    cache = Cache(folder)
    return Dataset(
        name=dataset_name(str(folder), name),
        table=cache.clips,
        sample_rate=cache.sample_rate,
        duration=cache.duration,
        source=str(cache.settings["source"]),
        synthetic=cache.synthetic,
    )


def _unknown(dataset: str) -> str:
    path = Path(dataset)
    if path.is_file():
        return (
            f"DATASET={dataset} is a file, but no CSV; expected a table filename,label or a folder of sounds"
        )
    if len(path.parts) > 1 or path.suffix:
        return (
            f"DATASET={dataset}: there is no such folder or file; expected {', '.join(NAMED)}, a folder with "
            "one sub-folder a class, a folder in ESC-50's layout, a CSV, or a cache folder"
        )
    message = nearest("dataset", dataset, NAMED)
    return f"{message}; or the path of a folder of sounds, a CSV, or a cache folder"
