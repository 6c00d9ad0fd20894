"""`python -m analysis`: tables, figures and the report, from the run folders and the cache."""

from analysis.options import AnalysisOptions
from commandline import main
from commandline.parse import Command


def analysis(options: AnalysisOptions) -> int:
    """Write reports/<dataset>/index.html for every dataset that has runs or a cache."""
    # Loaded here, so that --help and a mistyped option do not wait for matplotlib.
    from analysis.fuse import fuse_asked
    from analysis.jobs import jobs
    from analysis.report import build

    if options.fuse:
        print(f"fused: {fuse_asked(options).path}")
    for job in jobs(options):
        built = build(job, options)
        for remark in built.remarks:
            print(f"  {remark}")
        print(f"{job.dataset}: {built.found}")
        print(f"report: {built.page.resolve()}{'' if built.fresh else ' (nothing has changed)'}")
        print(f"next:   {built.next_command}")
    return 0


COMMANDS: list[Command] = [analysis]

if __name__ == "__main__":
    main(COMMANDS)
