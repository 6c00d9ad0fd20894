"""`python -m tests.golden.make`: write golden.json from this tree; `--exact`: compare, hashes included.

`--runs NAME …` compares the caches and these runs alone, which takes seconds.

The hashes hold for one kind of processor and one set of libraries: compare them on the machine that wrote
them. The test in git compares all else, with the tolerances of `differences`.
"""

import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.golden import refusals
from tests.golden.commands import inside
from tests.golden.outputs import SECTIONS, easy, trained

GOLDEN = Path(__file__).with_name("golden.json")
NEVER = ("identity",)  # run hashes have a version of their own
AT_LEAST = ("names", "features")  # what is there must stay; more may come
TOLERANCE = 0.02  # of the largest number of a list: far above floating point, far below any fault
CHOOSE_A_BIN = (
    "rolloff",
    "yin",
    "chroma",
    "tonnetz",
    "tempogram_ratio",
)  # a clip in twelve may choose another


def differences(golden: Any, now: Any, exact: bool, where: str = "") -> list[str]:
    """Each place where outputs are not the golden ones, with both values."""
    key = where.rpartition("/")[2]
    if key in NEVER or (key.startswith("sha") and not exact):
        return []
    if isinstance(golden, dict) and isinstance(now, dict):
        lost = [f"{where}/{name}: is not there" for name in golden if name not in now]
        new = [f"{where}/{name}: is new" for name in now if name not in golden]
        parts = [
            line
            for name in golden.keys() & now.keys()
            for line in differences(golden[name], now[name], exact, f"{where}/{name}")
        ]
        return sorted(lost + ([] if key in AT_LEAST else new) + parts)
    if where.split("/")[1:2] == ["names"]:
        lost = [name for name in golden if name not in now]
        return [f"{where}: {' '.join(lost)} is not there"] if lost else []
    if numbers(golden) and numbers(now) and len(golden) == len(now):
        return [f"{where}: {golden} is {now}"] if not close(golden, now, where, exact) else []
    if key.startswith("count") and not exact:
        return [] if abs(golden - now) <= 1 else [f"{where}: {golden} is {now}"]
    return [] if golden == now else [f"{where}: {golden} is {now}"]


def numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, int | float) for one in value)


def close(golden: list[float], now: list[float], where: str, exact: bool) -> bool:
    largest = max((abs(one) for one in golden if math.isfinite(one)), default=0)
    tolerance = 0 if exact else TOLERANCE * largest
    far = [a for a, b in zip(golden, now) if not (abs(a - b) <= tolerance or a == b)]
    feature = where.split("/")[-2] if where.startswith("/caches") else ""
    return len(far) <= (len(golden) // 12 if feature.startswith(CHOOSE_A_BIN) and not exact else 0)


def some(cases: list[str]) -> int:
    """Compare the little cache and these runs."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="golden-") as folder, inside(Path(folder)):
        made = json.loads(json.dumps({"easy": easy(), **trained(*cases)}))
    expected = {"easy": golden["caches"]["easy"]} | {case: golden["runs"][case] for case in cases}
    found = differences(expected, made, exact=False)
    print("\n".join(found) or "as they should be")
    return 1 if found else 0


def main() -> int:
    exact = sys.argv[1:] == ["--exact"]
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if exact else {}
    lines, found = [], []
    with tempfile.TemporaryDirectory(prefix="golden-") as folder, inside(Path(folder)):
        for name, section in SECTIONS.items():
            before = time.perf_counter()
            made = json.loads(json.dumps(section()))
            lines.append(f'"{name}": {json.dumps(made, sort_keys=True)}')
            other = differences({name: golden[name]}, {name: made}, exact=True) if exact else []
            print("\n".join([*other, f"{name}: {time.perf_counter() - before:.0f} s"]), flush=True)
            found += other
        refusals.prepare(next(Path("runs/plain").glob("*/*/run.json")).parent)
        found += refusals.wrong(refusals.REQUESTS, 2) + refusals.wrong(refusals.LEFT_RUNNING, 1)
    print("\n".join(found) or "all outputs are as they should be")
    if not exact:
        GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(some(sys.argv[2:]) if sys.argv[1:2] == ["--runs"] else main())
