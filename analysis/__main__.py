"""`python -m analysis`: tables, figures and the report, from the run folders and the cache."""

from analysis.options import AnalysisOptions
from commandline import main
from commandline.parse import Command


def analysis(options: AnalysisOptions) -> int:
    """Write reports/<dataset>/index.html for every dataset that has runs or a cache."""
    # Loaded here, so that --help and a mistyped option do not wait for matplotlib.
    from analysis.jobs import jobs
    from analysis.report import build

    if options.fuse:
        _fuse(options)
    for job in jobs(options):
        built = build(job, options)
        for remark in built.remarks:
            print(f"  {remark}")
        print(f"{job.dataset}: {built.found}")
        print(f"report: {built.page.resolve()}{'' if built.fresh else ' (nothing has changed)'}")
        print(f"next:   {built.next_command}")
    return 0


def _fuse(options: AnalysisOptions) -> None:
    """The fusion of the runs that FUSE names, as a run folder beside them."""
    from analysis.fuse import fuse
    from train.runs import select

    members = select(options.runs, " ".join(options.fuse), options.dataset or None)
    print(f"fused: {fuse(members, options.runs, options.pick).path}")


COMMANDS: list[Command] = [analysis]

if __name__ == "__main__":
    main(COMMANDS)
