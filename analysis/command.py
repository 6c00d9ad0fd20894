"""`make analysis`: the report, from the run folders and the cache."""

import os

from featurestack.analysis.options import AnalysisOptions, jobs

# Threads of these libraries spin while they wait.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def analysis(options: AnalysisOptions) -> int:
    """Write a report for each dataset; 1 if one leaves out something damaged."""
    for name in THREADS:  # before numpy is loaded
        os.environ.setdefault(name, "1")
    # Loaded here: --help does not wait for pandas and matplotlib.
    from featurestack.analysis.report import build_report

    whole = True
    for job in jobs(options):
        built = build_report(job)
        for remark in built.remarks:
            print(f"  {remark}")
        print(f"{job.dataset}: {built.headline}")
        print(f"report: {built.page.resolve()}")
        if built.paper:
            print(f"paper:  {' and '.join(built.paper)}")
        if built.next_command:
            print(f"next:   {built.next_command}")
        whole &= built.whole
    return 0 if whole else 1
