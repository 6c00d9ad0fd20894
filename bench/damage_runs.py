"""Damage run folders and bundles at random, see what notices: `python -m bench.damage_runs --damages 500`.

One file of a run (or a bundle) has bits flipped, a block of zeros or random bytes put over it, is cut short,
filled with something else, exchanged for the file of the same name of another fold, or taken away. Then every
command that reads it is run. A damage is harmless where each says the same as before, and named
where those that do not say which file it is. Anything else is a finding. Text has no checksum, as docs/ says:
another number in a CSV or JSON file that is still well formed is counted apart.
"""

import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench import fuzz
from bench.fuzz import Call, Outcome, Worlds, blank, cut, flip, overwrite, usual
from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import progress

KINDS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flipped": flip,
    "blanked": blank,
    "cut": cut,
    "overwritten": overwrite,
}
FILES = (
    "run.json",
    "history.csv",
    "predictions.csv",
    "augmented.npz",
    "attribution.csv",
    "last.pt",
    "best.pt",
)
TEXT = (".json", ".csv")
STAGE = re.compile(r"^report: .* \(\d of \d, .*\)\n", re.MULTILINE)
TABLES = "reports/little/tables"  # what a report says of the runs


@dataclass(frozen=True, kw_only=True)
class DamageRunsOptions(Options):
    """How many damages."""

    damages: int = option(500, "of run folders and bundles")
    seed: int = option(0, "of where and what")


class Patients:
    """The runs and the bundle of a small world, and what every command says of them while they are sound."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng, self.worlds = rng, Worlds(folder)
        self.world = self.worlds.world
        names = [*FILES, "model.pt"]
        own = [file for file in self.worlds.files if file.parts[0] in ("runs", "model.pt")]
        self.files = {name: [file for file in own if file.name == name] for name in names}
        assert all(self.files.values()), self.files
        self.sound: dict[tuple[str, ...], tuple[Outcome, str]] = {}

    def damage(self) -> tuple[str, list[str]]:
        """What was done to which file; nothing, ["named"], or how it was read otherwise without a word."""
        file = self.rng.choice(self.files[self.rng.choice(list(self.files))])
        calls = self._readers(file)
        for call in calls:
            if call.words not in self.sound:
                self.sound[call.words] = self._said(call)
                self.worlds.put_right()
        what = self._done_to(self.world / file)
        wrong, named = [], False
        for call in calls:
            outcome, tables = self._said(call)
            sound, sound_tables = self.sound[call.words]
            new = (
                outcome.status != sound.status or file.name not in sound.output
            )  # a sound bundle is named too
            told = new and file.name in outcome.output
            if outcome.finding:
                wrong.append(f"{call.name}: {outcome.finding}")
            elif told:
                named = True
            elif (outcome, tables) != (sound, sound_tables):
                wrong.append(f"{call.name} says something else, status {outcome.status}")
        self.worlds.put_right()
        return f"{file}, {what}", wrong or (["named"] if named else [])

    def _readers(self, file: Path) -> list[Call]:
        """The commands that read a file, for the run that it belongs to."""
        calls = usual(self.world)
        if file.name == "model.pt":
            return [Call(tuple(calls["predict-bundle"]), "predict-bundle")]
        own = [f"RUN={self.world.joinpath(*file.parts[:3])}"]
        predict = [*(word for word in calls["predict"] if not word.startswith("RUN=")), *own]
        if file.name == "best.pt":
            predict.append("SELECTION=best")
        figures = "FIGURES=2" if file.suffix == ".npz" else "FIGURES=0"
        report = [*calls["analysis"], figures, "OVERWRITE=1", f"DATA={self.world / 'empty'}"]  # without clips
        chosen = {".pt": [predict], ".npz": [report], ".csv": [report], ".json": [report, predict]}
        return [
            Call(tuple(words), "predict" if words is predict else "analysis") for words in chosen[file.suffix]
        ]

    def _said(self, call: Call) -> tuple[Outcome, str]:
        """What a command printed but for its progress, and the tables that it wrote."""
        outcome = fuzz.run(call)
        outcome = replace(outcome, output=STAGE.sub("", outcome.output))
        if call.name != "analysis":
            return outcome, ""
        tables = sorted((self.world / TABLES).glob("*.csv"))
        return outcome, "\n".join(f"{table.name}\n{table.read_text()}" for table in tables)

    def _done_to(self, file: Path) -> str:
        """Damage it; what that was."""
        kind = self.rng.choice([*KINDS, "exchanged", "gone"])
        whole = file.read_bytes()
        others = [one for one in file.parent.parent.glob(f"fold*/{file.name}") if one != file]
        if kind == "gone":
            file.unlink()
        elif kind == "exchanged" and others:
            file.write_bytes(self.rng.choice(others).read_bytes())
        else:
            kind = kind if kind in KINDS else "overwritten"
            file.write_bytes(KINDS[kind](whole, self.rng))
            kind = kind if file.read_bytes() != whole else "left as it was"
        return kind


def damage_runs(options: DamageRunsOptions) -> int:
    """Damage run folders and bundles again and again and count what is not found."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="damage-runs-") as folder:
        os.environ["FUZZ_FOLDER"] = folder
        fuzz.load_libraries()
        patients = Patients(Path(folder), random.Random(options.seed))
        for _ in progress(range(options.damages), label="damage", unit="damages"):
            what, wrong = patients.damage()
            text = what.split(",")[0].endswith(TEXT)
            meaning = "harmless" if not wrong else "named" if wrong == ["named"] else "read otherwise"
            counts["another number in a text" if text and meaning == "read otherwise" else meaning] += 1
            if meaning == "read otherwise":
                print(f"{what}: {'; '.join(wrong)}", flush=True)
    print(f"{counts.total()} damages: {dict(sorted(counts.items()))}")
    return 1 if counts["read otherwise"] else 0


if __name__ == "__main__":
    main([damage_runs])
