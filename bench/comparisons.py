"""`make bench`: the comparisons of BENCHES, one after the other, each in its own
process.

The other benches take long, or compare with nothing; each is its own command (`python
-m bench.kill`).
"""

import subprocess
import sys
from collections.abc import Mapping

from featurestack.commandline.options import Options, option
from featurestack.commandline.registry import Registry

# module of this folder -> description of the comparison
BENCHES = Registry(
    "bench",
    {
        "features": "extraction against librosa and audioFlux, feature by feature",
        "training": "clips a second against the usual loop",
    },
)
# words after `python -m` -> description
BY_THEMSELVES = {
    "bench.fuzz --trials 5000": (
        "hostile options and damaged files through every command"
    ),
    "bench.statements": "how often the statements of reports are false, by simulation",
    "bench.kill WHAT=features": (
        "SIGKILL at random moments of the extraction: whether clips are lost or wrong"
    ),
    "bench.kill WHAT=train --kills 200": (
        "SIGKILL at random moments of training, or of events, answer, analysis: whether"
        " results change"
    ),
}


class BenchOptions(Options):
    bench: tuple[str, ...] = option((), "names of comparisons; all by default")


def listed(table: Mapping[str, str], before: str = "") -> str:
    """Aligned lines `- name  description`."""
    width = max(map(len, table))
    return "\n".join(
        f"- {before}{name:{width}}  {what}" for name, what in table.items()
    )


BenchOptions.__doc__ = f"""Comparisons, and other benches.

{listed(BENCHES)}

Other benches, each a command with its own --help:
{listed(BY_THEMSELVES, "python -m ")}
"""


def bench(options: BenchOptions) -> int:
    """Compare with the alternatives on this machine, in one run."""
    failed = []
    for name, compared in [(name, BENCHES[name]) for name in options.bench or BENCHES]:
        print(f"\n== {name}: {compared}", flush=True)
        if subprocess.run(
            [sys.executable, "-m", f"bench.{name}"], check=False
        ).returncode:
            failed.append(name)

    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
