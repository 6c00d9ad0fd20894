"""The extras: what each gives to the core, as text. The core imports none of them.

An extra is a module or a package in featurestack/extras/, and uses the core as a user's
own code would. To remove one, delete its module, its tests, its page and its row here.
A row whose module is missing is ignored: help, `import featurestack`, options and
reports leave the extra out, and its files in a folder of runs stay as they are.

    object_at(WORDS[word].run)(options)    # runs the command of a word
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

EXTRAS_FOLDER = Path(__file__).resolve().parents[1] / "extras"
NO_ENTRIES: Mapping[str, Any] = MappingProxyType({})


class Command(NamedTuple):
    """The action of a word.

    run        module:function of the command's options; an int is its exit status
    options    module:class of them
    meaning    a sentence for help
    libraries  the distribution's extra with the libraries that it needs
    """

    run: str
    options: str
    meaning: str
    libraries: str = ""


class Extra(NamedTuple):
    """What the core takes from an extra; places are module:name.

    words      word of the program -> its command
    functions  name in `featurestack` -> its place
    options    option of a core command -> the function that the command calls with it
    sections   section of the report -> its function, and the files among a dataset's
               runs for which it is made
    figures    a module that enters figures
    models     ending of a file that RUN= takes -> its class
    needs      another extra that it imports
    """

    words: Mapping[str, Command] = NO_ENTRIES
    functions: Mapping[str, str] = NO_ENTRIES
    options: Mapping[str, str] = NO_ENTRIES
    sections: Mapping[str, tuple[str, str]] = NO_ENTRIES
    figures: str = ""
    models: Mapping[str, str] = NO_ENTRIES
    needs: str = ""


EXTRAS = {
    "recordings": Extra(
        words={
            "windows": Command(
                "featurestack.extras.recordings.windows:make_windows",
                "featurestack.extras.recordings:WindowsOptions",
                "Make a dataset of windows with labels from annotated recordings.",
            )
        },
        functions={"windows": "featurestack.extras.recordings.windows:windows"},
        options={
            "check": "featurestack.extras.recordings.detections:write_detections",
            "checked": "featurestack.extras.recordings.check:tell_checked",
            "promise": "featurestack.extras.recordings.check:tell_checked",
        },
    ),
    "alterations": Extra(
        functions={"alter": "featurestack.extras.alterations:alter"},
        options={
            "alter": "featurestack.extras.alterations:write_altered",
            "copies": "featurestack.extras.alterations:write_altered",
        },
    ),
    "importance": Extra(
        words={
            "importance": Command(
                "featurestack.extras.importance.section:make_importance",
                "featurestack.extras.importance:ImportanceOptions",
                "Measure what each feature is worth by itself and with the others.",
            ),
            "curve": Command(
                "featurestack.extras.importance.curve:make_curve",
                "featurestack.extras.importance:CurveOptions",
                "Measure the score against the number of training recordings.",
            ),
        },
        functions={
            "importance": "featurestack.extras.importance.importance:importance",
            "curve": "featurestack.extras.importance.curve:curve",
        },
        sections={
            "importance": (
                "featurestack.extras.importance.section:importance",
                "importance/*.json",
            )
        },
        figures="featurestack.extras.importance.section",
    ),
    "stress": Extra(
        words={
            "stress": Command(
                "featurestack.extras.stress.stress:make_stress",
                "featurestack.extras.stress:StressOptions",
                "Find what breaks a run: score its test clips with noise, echoes or"
                " another level.",
            )
        },
        functions={"stress": "featurestack.extras.stress.stress:stress"},
        sections={
            "stress": (
                "featurestack.extras.stress.stress:stress_section",
                "*/stress.json",
            )
        },
        needs="alterations",
    ),
    "compare": Extra(
        words={
            "compare": Command(
                "featurestack.extras.compare.tables:compare_tables",
                "featurestack.extras.compare:CompareOptions",
                "Compare tables of predictions, of any program, and runs.",
            )
        }
    ),
    "labels": Extra(
        options={"next": "featurestack.extras.labels:write_next"},
        sections={"suspects": ("featurestack.extras.labels:suspects", "*/run.json")},
    ),
    "onnx": Extra(
        words={
            "export": Command(
                "featurestack.extras.onnx.onnx:export_run",
                "featurestack.extras.onnx:ExportOptions",
                "Write the networks as one ONNX file, for programs without torch.",
                libraries="onnx",
            )
        },
        functions={"export": "featurestack.extras.onnx:export"},
        models={".onnx": "featurestack.extras.onnx.onnx:ExportedModel"},
    ),
    "listen": Extra(
        words={
            "listen": Command(
                "featurestack.extras.listen:listen_live",
                "featurestack.extras.listen:ListenOptions",
                "Predict the classes of live audio.",
                libraries="live",
            )
        }
    ),
    "transformer": Extra(
        functions={"Features": "featurestack.extras.transformer:Features"}
    ),
    "trackers": Extra(options={"tracker": "featurestack.extras.trackers:tracker_of"}),
    "cluster": Extra(options={"scheduler": "featurestack.extras.cluster:connected"}),
}


def installed(name: str) -> bool:
    """Whether the module of an extra is there, and that of the one that it needs."""
    module = EXTRAS_FOLDER / f"{name}.py", EXTRAS_FOLDER / name / "__init__.py"
    needed = EXTRAS[name].needs if name in EXTRAS else ""
    return any(map(Path.is_file, module)) and (not needed or installed(needed))


INSTALLED = [extra for name, extra in EXTRAS.items() if installed(name)]
WORDS = {w: command for extra in INSTALLED for w, command in extra.words.items()}
FUNCTIONS = {n: place for extra in INSTALLED for n, place in extra.functions.items()}
OPTIONS = {n: place for extra in INSTALLED for n, place in extra.options.items()}
SECTION_PLACES = {
    n: place for extra in INSTALLED for n, place in extra.sections.items()
}
FIGURE_MODULES = [extra.figures for extra in INSTALLED if extra.figures]
MODEL_PLACES = {
    end: place for extra in INSTALLED for end, place in extra.models.items()
}
