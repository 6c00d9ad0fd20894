"""`python -m analysis`: tables, figures and the report, from the run folders and the cache."""

from typing import TYPE_CHECKING

from analysis.options import AnalysisOptions
from commandline.commands import Command, main

if TYPE_CHECKING:
    from analysis.inputs import Built, ReportJob


def analysis(options: AnalysisOptions) -> int:
    """Write reports/<dataset>/index.html for every dataset that has runs or a cache."""
    # Loaded here, so that --help, a mistyped option and a report that is up to date wait for nothing heavy.
    from analysis.inputs import jobs, unchanged

    if options.ensemble:
        _write_ensemble(options)
    whole = True
    for job in jobs(options):
        built = unchanged(job, options) or _build(job, options)
        for remark in built.remarks:
            print(f"  {remark}")
        print(f"{job.dataset}: {built.headline}")
        print(f"report: {built.page.resolve()}{'' if built.fresh else ' (nothing has changed)'}")
        print(f"next:   {built.next_command}")
        whole &= built.whole
    return 0 if whole else 1


def _write_ensemble(options: AnalysisOptions) -> None:
    from analysis.ensemble import requested_ensemble

    print(f"ensemble: {requested_ensemble(options).path}")


def _build(job: "ReportJob", options: AnalysisOptions) -> "Built":
    from analysis.figures import drawing_processes
    from analysis.report import build_report

    with drawing_processes():
        return build_report(job, options)


COMMANDS: list[Command] = [analysis]

if __name__ == "__main__":
    main(COMMANDS)
