"""Small compiled loops, each equal to the librosa, scipy or numpy call that its docstring names.

They are compiled by numba when first called and kept on disk. Arrays are (rows, frames), C-contiguous, so
that the inner loop runs over neighbouring frames and one instruction serves eight or sixteen of them.
"""
