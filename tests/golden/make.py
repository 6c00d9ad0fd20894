"""`python -m tests.golden.make`: write golden.json from this tree; `--exact`: compare,
hashes included.

`--runs NAME …` compares the little cache and these runs alone, which takes seconds.

The hashes hold for one kind of processor and one set of libraries: compare them on the
machine that wrote them. test_golden.py compares everything else, with the tolerances of
`differences`.
"""

import json
import math
import sys
import tempfile
from pathlib import Path

from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.pipeline.features import FEATURES
from tests.golden.commands import inside
from tests.golden.outputs import SECTIONS, easy, trained

GOLDEN = Path(__file__).with_name("golden.json")
OLD_VERSION = "has other values, so that its decorator needs a higher version="
# share of the largest number of a list: far above floating point, far below any fault
TOLERANCE = 0.02
DEPTH = 5  # of the values that have a line of golden.json
PICK_A_BIN = ("rolloff", "yin")  # one clip in twelve may pick another


def differences(golden, now, exact, where=""):
    """A line for each place where the outputs differ from the golden ones, with both
    values.
    """
    key = where.rpartition("/")[2]
    if key.startswith("sha") and not exact:
        return []
    if isinstance(golden, dict) and isinstance(now, dict):
        lost = [f"{where}/{name}: is not there" for name in golden if name not in now]
        new = [f"{where}/{name}: is new" for name in now if name not in golden]
        parts = [
            line
            for name in golden.keys() & now.keys()
            for line in differences(golden[name], now[name], exact, f"{where}/{name}")
        ]
        found = lost + new + parts
        return sorted(found + old_version(golden, now, parts, where))
    if numbers(golden) and numbers(now) and len(golden) == len(now):
        same = close(golden, now, where, exact)
    elif key.startswith("count") and not exact:
        same = abs(golden - now) <= 1
    else:
        same = golden == now
    return [] if same else [f"{where}: {golden} is {now}"]


def old_version(golden, now, parts, where):
    """A line for a feature with other values and the version of the golden ones."""
    same = "version" in golden and golden["version"] == now.get("version")
    if same and any("/plain:" in line or "/weighted:" in line for line in parts):
        return [f"{where}: {OLD_VERSION}"]
    return []


def numbers(value):
    return isinstance(value, list) and all(
        isinstance(one, int | float) for one in value
    )


def close(golden, now, where, exact):
    largest = max((abs(one) for one in golden if math.isfinite(one)), default=0)
    tolerance = 0 if exact else TOLERANCE * largest
    far = [a for a, b in zip(golden, now) if not (abs(a - b) <= tolerance or a == b)]
    feature = where.split("/")[-2] if where.startswith("/caches") else ""
    name = parse_feature_name(feature).name if feature else ""
    chosen = name in PICK_A_BIN or (name and FEATURES[name].estimated)
    few = len(golden) // 12 if chosen and not exact else 0
    return len(far) <= few


def text_of(value, depth=DEPTH):
    """JSON with a line for each value at this depth, so that two changes seldom meet in
    one line.
    """
    if not depth or not isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    lines = [f'"{name}": {text_of(value[name], depth - 1)}' for name in sorted(value)]
    return "{\n" + ",\n".join(lines) + "\n}"


def main(*words):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    cases = words[1:]
    with tempfile.TemporaryDirectory(prefix="golden-") as folder, inside(Path(folder)):
        if cases:
            made = {"caches": {"easy": easy()}, "runs": trained(*cases)}
            golden = {
                name: {case: golden[name][case] for case in part}
                for name, part in made.items()
            }
        else:
            made = {name: section() for name, section in SECTIONS.items()}
    read = json.loads(json.dumps(made))
    found = differences(golden, read, exact=words == ("--exact",))
    if any(OLD_VERSION in line for line in found):
        print("\n".join(found))
        return 1
    if not words:
        GOLDEN.write_text(text_of(made) + "\n", encoding="utf-8")
    print("\n".join(found) or "all outputs are as they should be")
    return 1 if found and words else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
