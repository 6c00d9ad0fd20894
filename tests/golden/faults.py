"""Planted faults that the tests must notice: `python -m tests.golden.faults [NAME …]`.

A fault replaces one text of the product in a copy of the tree. Then its tests run, and
after them its golden runs. The text is searched for in all modules, so moved code needs
no change here. A fault whose text no longer occurs exactly once needs another text with
the same meaning.
"""

import functools
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.golden.commands import ROOT
from tests.processes import python
from tests.test_structure import TOP

CACHE, PIPE, TRAIN = "tests/features_cache/", "tests/pipeline/", "tests/train/"
PREDICT, ANALYSIS = "tests/predict/", "tests/analysis/"
RESULTS, SCORES = "tests/results/", "tests/compare/"
# the slow tests too
PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "")


class Fault(NamedTuple):
    """`old` becomes `new`; then `tests` should fail: paths, and golden runs as
    `golden:NAME`.
    """

    old: str
    new: str
    tests: str


FAULTS: dict[str, Fault] = {
    # whose data, whose file
    "another_place_by_name": Fault(  # the cache of another place's sounds is taken
        "if not is_of(cache, dataset, name):",
        "if False:",
        "tests/test_identity.py",
    ),
    "identity_asked_before_the_lock": Fault(  # two runs share one folder
        "if other and is_other(self.identity):",
        "if False:",
        "tests/base/test_own_files.py",
    ),
    "damaged_record_believed": Fault(
        'if known["digest"] != self._digest(files):',
        "if False:",
        "tests/base/test_own_files.py",
    ),
    "copies_grouped_by_their_names": Fault(  # copies of tested clips are trained on
        "        now[copy] = named[0]\n",
        "        pass\n",
        "tests/test_clips_of_datasets.py",
    ),
    "one_sound_twice": Fault(  # a file that is spelt in two ways is two clips
        'clips.assign(file=files).duplicated(["file", "start", "end"], keep=False)',
        'clips.duplicated(["filename", "start", "end"], keep=False)',
        "tests/test_clips_of_datasets.py",
    ),
    "edited_folds_drawn_anew": Fault(
        "folds = max(named * few, *fold_of)",
        "pass",
        "tests/test_clips_of_datasets.py",
    ),
    "code_of_helpers_ignored": Fault(
        '"\\n".join([plain_source(tree), *reached(tree, file, beside)])',
        "ast.unparse(tree)",
        "tests/base/test_registry.py",
    ),
    "version_of_a_cache_ignored": Fault(
        "if difference := features_here().difference_here(",
        "if difference := (lambda feature: '')(",
        "tests/test_versions.py",
    ),
    # extras
    "absent_extra_stays_in_tables": Fault(  # help names a word without its module
        "INSTALLED = [extra for name, extra in EXTRAS.items() if installed(name)]",
        "INSTALLED = [*EXTRAS.values()]",
        "tests/test_extras.py",
    ),
    "part_of_a_file_as_the_file": Fault(  # numbers of the whole recording, no word
        "            if clip and clip.end:\n",
        "            if clip and clip.end < 0:\n",
        "tests/extras/test_transformer.py",
    ),
    # the cache
    # a clip's row is its position in the table, not found by its id
    "rows_by_position": Fault(
        "return pd.Index(among).get_indexer(pd.Index(ids)).astype(np.intp)",
        "return np.arange(len(ids)) % len(among)",
        f"{CACHE}test_clip_table.py {CACHE}test_hdf5.py {CACHE}test_cache.py",
    ),
    "state_word_first": Fault(  # a clip counts as done before its values are written
        """        write_at(descriptor, NOT_DONE, place)
        write_at(descriptor, values.data, self.values_offset + row * values.nbytes)
        write_at(descriptor, np.array(state, STATE).tobytes(), place)
""",
        """        write_at(descriptor, np.array(state, STATE).tobytes(), place)
        write_at(descriptor, values.data, self.values_offset + row * values.nbytes)
""",
        f"{CACHE}test_hdf5.py {CACHE}test_writer.py",
    ),
    "crc_not_compared": Fault(  # a damaged clip passes for an intact one
        "np.fromiter(crcs, np.uint64, len(states)) == states & CRC",
        "np.fromiter(crcs, np.uint64, len(states)) >= 0",
        f"{CACHE}test_hdf5.py {CACHE}test_cache.py",
    ),
    # values of other parameters count as up to date
    "fingerprint_without_parameters": Fault(
        'covered["parameters"] = as_text(self.parameters)',
        'covered["parameters"] = ""',
        f"{CACHE}test_hdf5.py {PIPE}test_extract.py",
    ),
    "overflow_stored": Fault(  # values beyond the type's range are stored as infinity
        "if largest > np.finfo(dtype).max:",
        "if largest < 0:",
        f"{CACHE}test_hdf5.py {CACHE}test_external.py",
    ),
    "written_without_a_lock": Fault(  # a file is replaced while its clips are written
        "        file_lock.take(shared=True, wait=True)\n",
        "        file_lock.drop()\n",
        f"{CACHE}test_writer.py",
    ),
    "two_runs_admitted": Fault(  # two extractions write the same clips
        "            if not rivals:\n",
        "            rivals = []\n            if not rivals:\n",
        f"{CACHE}test_claims.py",
    ),
    "other_boot_trusted": Fault(  # after a power cut done clips are trusted unread
        "if claim.boot != boot:", "if claim.boot is boot:", f"{CACHE}test_claims.py"
    ),
    # files of the user's
    "foreign_files_replaced": Fault(  # a file is the command's because of its name
        "return file.is_file() and (ANY in known or content_hash(file) in known)",
        "return file.is_file()",
        "tests/base/test_own_files.py tests/test_users_files.py",
    ),
    # features
    "frame_late": Fault(  # slopes stand one frame late
        'np.pad(slopes, ((0, 0), (half, half)), mode="edge")',
        'np.pad(slopes, ((0, 0), (half + 1, half - 1)), mode="edge")',
        f"{PIPE}test_features.py",
    ),
    "left_channel_alone": Fault(  # stereo is read as its left channel
        "mixed = file.channels > 1 and not file.channel",
        "mixed = False",
        f"{PIPE}test_audio.py",
    ),
    # the alterations of a copy do not depend on its clip
    "copies_of_another_clip": Fault(
        "rng = _generator(seed, clip_id, number)",
        "rng = _generator(seed, number)",
        "golden:altered",
    ),
    # folds
    "group_filter_dropped": Fault(  # clips of a tested recording are trained on
        'return clips[~clips["group"].isin(set(held_out["group"]))]',
        "return clips",
        f"{CACHE}test_splits.py",
    ),
    # altered copies of tested clips are trained on
    "copies_of_tested_clips_trained": Fault(
        "only_trained = drop_leaking(table.drop(clips.index), held_out)",
        "only_trained = table.drop(clips.index)",
        f"{CACHE}test_splits.py",
    ),
    "validation_trained": Fault(  # validation clips are trained on
        "train = drop_leaking(candidates[~validated], candidates[validated])",
        "train = candidates",
        f"{CACHE}test_splits.py",
    ),
    # means and deviations are also of tested clips
    "statistics_of_tested_clips": Fault(
        "measured = plan.cache.positions(split.statistics)",
        "measured = np.arange(len(clips.moments[0]))",
        "golden:plain",
    ),
    # training
    # a channel is standardised by another one's statistics
    "statistics_of_another_channel": Fault(
        "for channel, how, batch in zip(self.channels, statistics, values,"
        " strict=True):\n",
        "for channel, how, batch in zip(self.channels, statistics[::-1], values,"
        " strict=True):\n",
        f"{TRAIN}test_fold_data.py",
    ),
    "padding_one_frame_short": Fault(  # a short clip loses its last frame
        "sounding = np.ceil(frames * filled).astype(np.intp)",
        "sounding = np.floor(frames * filled).astype(np.intp)",
        f"{TRAIN}test_network_input.py golden:drop",
    ),
    "tested_clips_augmented": Fault(  # clips are augmented when they are scored
        "network, batches, self.compute, self.plan.task, exact=exact",
        "network, (self.augmenter(x, torch.zeros(len(x), len(self.plan.names)),"
        " self.data.channels, torch.Generator())[0] for x in batches), self.compute,"
        " self.plan.task, exact=exact",
        f"{TRAIN}test_trainer.py {TRAIN}test_training.py {PREDICT}test_clips.py"
        " golden:masked",
    ),
    # the epoch with the largest validation loss is the best
    "largest_loss_is_best": Fault(
        "better = score < self.best",
        "better = score > self.best",
        f"{TRAIN}test_trainer.py",
    ),
    "optimiser_forgotten": Fault(  # a run that goes on has lost its momentum
        '        self.optimiser.load_state_dict(unfinished["optimiser"])\n',
        "",
        f"{TRAIN}test_resume.py",
    ),
    "fold_lock_not_taken": Fault(  # two processes train the same fold
        'with Lock(folder / ".lock", waiting=waiting):',
        "if fold:",
        f"{TRAIN}test_resume.py",
    ),
    # another learning rate is taken for the same run
    "hash_without_rate": Fault(
        "        if getattr(training, name) != option.default\n",
        '        if name != "lr" and getattr(training, name) != option.default\n',
        f"{RESULTS}test_config.py {TRAIN}test_plan.py",
    ),
    "classes_in_another_order": Fault(  # probability columns carry other classes' names
        "folder, pd.concat(tables), np.concatenate(answers), plan.names\n",
        "folder, pd.concat(tables), np.concatenate(answers), plan.names[::-1]\n",
        f"{TRAIN}test_trainer.py {TRAIN}test_training.py golden:linear",
    ),
    # files from elsewhere
    "code_in_weights": Fault(  # weights from a file may run code
        "weights_only=True)", "weights_only=False)", f"{PREDICT}test_bundle.py"
    ),
    "weights_unchecked": Fault(  # weights with a flipped bit predict
        "damaged = archive.testzip()", "archive.testzip()", f"{TRAIN}test_checkpoint.py"
    ),
    "formula_in_csv": Fault(  # a class may be called like a spreadsheet's formula
        "if isinstance(cell, str) and cell.startswith(FORMULA):",
        "if False:",
        f"tests/base {PREDICT}test_clips.py",
    ),
    "html_in_page": Fault(  # a class may be called like a script
        'autoescape=lambda name: str(name).endswith(".html"),',
        "autoescape=False,",
        f"{ANALYSIS}test_report.py {ANALYSIS}test_report.py",
    ),
    # numbers
    "interval_of_clips": Fault(  # intervals draw clips instead of recordings
        """sums = recording_sums(correct * weights, groups)
    totals = recording_sums(weights, groups)
""",
        """sums = correct * weights
    totals = np.array(weights)
""",
        f"{SCORES}test_significance.py",
    ),
    # clips are judged by thresholds that were fitted to them
    "thresholds_of_own_fold": Fault(
        "fit_thresholds(target[others], probabilities[others])",
        "fit_thresholds(target[~others], probabilities[~others])",
        f"{RESULTS}test_targets.py",
    ),
    "max_without_maximum": Fault(  # p-values of several differences are not adjusted
        """        largest[place] = np.maximum(largest[place], largest[place - 1])
""",
        "",
        f"{SCORES}test_significance.py",
    ),
    # a difference of two trainings counts as one of two feature sets
    "one_training": Fault(
        "observed = np.abs(totals) / np.sqrt(scale**2 + training)",
        "observed = np.abs(totals) / scale",
        f"{SCORES}test_significance.py",
    ),
    # a constant answer wins if classes are uneven
    "plain_accuracy": Fault(
        "if metric is ACCURACY and uneven(labels):",
        "if False:",
        f"{SCORES}test_comparison.py {ANALYSIS}test_findings.py",
    ),
    # differences count among models that know nothing
    "ranked_noise": Fault(
        "elif not self.against_chance.clear:",
        "elif False:",
        f"{SCORES}test_comparison.py",
    ),
    # the choice of the best by the tested scores is not corrected for
    "best_as_if_named_before": Fault(
        "largest[place] = np.maximum(largest[place], pairs.max(axis=0))",
        "pass",
        f"{SCORES}test_significance.py {ANALYSIS}test_false_claims.py",
    ),
    "clip_tested_twice": Fault(  # a clip that two folds tested counts twice
        """    if len(twice):
        raise RequestError(
""",
        """    if len(twice) < 0:
        raise RequestError(
""",
        f"{ANALYSIS}test_run_arrays.py",
    ),
}


def copied(folder):
    """The tree without what the commands leave in it."""
    left_out = (".*", "__pycache__", "data", "runs", "reports", "wandb", "out")
    ignore = shutil.ignore_patterns(*left_out)
    return shutil.copytree(
        ROOT, folder, symlinks=True, ignore=ignore, dirs_exist_ok=True
    )


@functools.cache
def modules(tree):
    """{file: text} of the product in this tree."""
    texts = {}
    for package in ("featurestack", *TOP):
        for file in (tree / package).rglob("*.py"):
            texts[file] = file.read_text(encoding="utf-8")
    return texts


def place_of(tree, old):
    """The one module that has this text once; None where there is none, or several."""
    counts = {file: text.count(old) for file, text in modules(tree).items()}
    found = [file for file, count in counts.items() if count]
    return found[0] if sum(counts.values()) == 1 else None


def verdict(tree, fault):
    """`killed by <test>`, `survived`, or why it was not planted."""
    file = place_of(tree, fault.old)
    if file is None:
        return "not planted: its text is not there once"
    text = modules(tree)[file]
    words = fault.tests.split()
    golden = [word[len("golden:") :] for word in words if word.startswith("golden:")]
    paths = [word for word in words if (tree / word).exists()]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    how = {"check": False, "cwd": tree, "environment": environment}
    try:
        file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        done = python(*PYTEST, *paths, **how) if paths else None
        if done and done.returncode == 1:
            failed = re.search("^(FAILED|ERROR) (\\S+)", done.stdout, re.MULTILINE)
            return f"killed by {failed[2]}"
        if done and done.returncode:
            return f"not tested: pytest ended with {done.returncode}"
        if golden:
            done = python("-m", "tests.golden.make", "--runs", *golden, **how)
            if done.returncode:
                return f"killed by golden {' '.join(golden)}"
    finally:
        file.write_text(text, encoding="utf-8")
    return "survived"


def main():
    names = sys.argv[1:] or list(FAULTS)
    killed = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        tree = copied(Path(folder))
        for name in names:
            found = verdict(tree, FAULTS[name])
            killed += found.startswith("killed")
            print(f"{name}: {found}", flush=True)
    print(f"{killed} of {len(names)} killed")
    return 0 if killed == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
