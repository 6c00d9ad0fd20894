"""From run folders to a report: jobs.py (which reports a command makes), runs.py (what
is read of runs, which are ranked), tables.py, warnings.py, build.py (files and page).
"""
