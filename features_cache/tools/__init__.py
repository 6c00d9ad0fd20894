"""What is done with a cache beside writing and reading it; nothing of the protocol depends on it.

info.py       what a cache holds             verify.py   read everything, name what is damaged
share.py      one compressed file, and back
failures.py   clips that could not be done   costs.py    what computing each feature took
"""
