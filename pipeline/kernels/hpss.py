"""Harmonic-percussive separation of a spectrogram, by medians over frames and bins.

Neighbouring windows share the work of the running median of 31, without a branch.
Sixteen windows have sixteen values in common, which are sorted once; then the block of
windows is halved again and again, and each half shares more values. Every step keeps
only the ranks that can still become the median: the middle 8 of 24 values, 4 of 28, 2
of 30, 1 of 31. All of it is minima and maxima, about 28 per median (after A. Adams,
Fast median filters using separable sorting networks, ACM Transactions on Graphics
40(4), 2021).
"""

# mypy: allow-untyped-defs

import numpy as np
import scipy

from featurestack.pipeline.kernels import compiled, inlined

NOTHING = np.finfo(np.float32).tiny  # librosa splits smaller values into halves
SIZE = 31
WINDOWS = 16  # windows that share their work
NEEDED = WINDOWS + SIZE - 1  # rows that a block of windows covers
# frames processed at a time, so that a tile of NEEDED rows fits the first-level cache
LANES = 64


def harmonic_percussive(
    magnitude: np.ndarray, kernel_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """(bins, frames) float32: both parts of `librosa.decompose.hpss`, squared."""
    turned = np.ascontiguousarray(magnitude.T)
    along_frames = np.ascontiguousarray(running_median(turned, kernel_size).T)
    along_bins = running_median(magnitude, kernel_size)
    flat = [each.reshape(-1) for each in (magnitude, along_frames, along_bins)]
    _masked_energies(*flat)
    return along_frames, along_bins


@compiled
def _masked_energies(magnitude, harmonic, percussive):
    """Replace both medians by (magnitude * mask) ** 2 of `librosa.util.softmask`."""
    for i in range(magnitude.size):
        larger = max(harmonic[i], percussive[i])
        nothing = larger < NOTHING
        h = np.float32(1) if nothing else harmonic[i] / larger
        p = np.float32(1) if nothing else percussive[i] / larger
        part = magnitude[i] / (h * h + p * p)
        harmonic_part = part * h * h
        percussive_part = part * p * p
        harmonic[i] = harmonic_part**2
        percussive[i] = percussive_part**2


def running_median(rows: np.ndarray, size: int) -> np.ndarray:
    """The median of each `size` neighbouring rows, (rows, frames) float32 without NaN:
    `scipy.ndimage.median_filter(rows, (size, 1))`.
    """
    if size != SIZE:
        return scipy.ndimage.median_filter(rows, size=(size, 1), mode="reflect")
    frames = rows.shape[1]
    if frames < LANES:
        padding = LANES - frames
        rows = np.pad(rows, ((0, 0), (0, padding)))
    before = SIZE // 2
    after = SIZE // 2 + WINDOWS
    numbers = np.arange(len(rows))
    reflected = np.pad(numbers, (before, after), mode="symmetric")
    medians = np.empty_like(rows)
    _medians(rows, reflected, medians)
    return np.ascontiguousarray(medians[:, :frames])


@compiled
def _medians(rows, reflected, medians):
    """Compute medians tile by tile, because only contiguous arrays are vectorised."""
    tile = np.empty(NEEDED * LANES, np.float32)
    done = np.empty(WINDOWS * LANES, np.float32)
    for row in range(0, len(rows), WINDOWS):
        for begin in range(0, rows.shape[1], LANES):
            frame = min(begin, rows.shape[1] - LANES)
            for k in range(NEEDED):
                for lane in range(LANES):
                    tile[k * LANES + lane] = rows[reflected[row + k], frame + lane]
            _windows(tile, done)
            for k in range(min(WINDOWS, len(rows) - row)):
                for lane in range(LANES):
                    medians[row + k, frame + lane] = done[k * LANES + lane]


@inlined
def _windows(t, done):
    """Medians of windows 0 to 15 of a tile; window w consists of rows w to w + 30."""
    for lane in range(LANES):
        rows_3 = _four(t, 3, lane)
        rows_11 = _four(t, 11, lane)
        rows_31 = _four(t, 31, lane)
        rows_39 = _four(t, 39, lane)
        rows_7 = _merged(_four(t, 7, lane), rows_11)
        rows_31_38 = _merged(rows_31, _four(t, 35, lane))
        common = _merged(_eight(t, 15, lane), _eight(t, 23, lane))
        early = _middle(common, rows_7)
        _four_windows(t, lane, done, 0, _middle(early, rows_3))
        _four_windows(t, lane, done, 4, _middle(early, rows_31))
        late = _middle(common, rows_31_38)
        _four_windows(t, lane, done, 8, _middle(late, rows_11))
        _four_windows(t, lane, done, 12, _middle(late, rows_39))


@inlined
def _four_windows(t, lane, done, w, kept):
    """Windows w to w + 3, from the middle 4 of the 28 values that they share."""
    place = w * LANES + lane
    early = _middle(kept, _two(t, w + 1, lane))
    done[place] = _median(early, t, w, lane)
    done[place + LANES] = _median(early, t, w + 31, lane)
    late = _middle(kept, _two(t, w + 31, lane))
    done[place + 2 * LANES] = _median(late, t, w + 2, lane)
    done[place + 3 * LANES] = _median(late, t, w + 33, lane)


@inlined
def _median(kept, t, row, lane):
    """The middle of the two kept values and one of a row."""
    middle = _middle(kept, _one(t, row, lane))
    return middle[0]


# Sorted values are nested pairs, as (((a,), (b,)), ((c,), (d,))), lower half first.


@inlined
def _one(t, row, lane):
    return (t[row * LANES + lane],)


@inlined
def _two(t, row, lane):
    return _merged(_one(t, row, lane), _one(t, row + 1, lane))


@inlined
def _four(t, row, lane):
    return _merged(_two(t, row, lane), _two(t, row + 2, lane))


@inlined
def _eight(t, row, lane):
    return _merged(_four(t, row, lane), _four(t, row + 4, lane))


@inlined
def _merged(a, b):
    """Two sorted sequences merged into one."""
    return _ordered((a, _reversed(b)))


@inlined
def _middle(a, b):
    """The sorted middle third of `a` and `b` together; `b` is half as long as `a`."""
    low = _ordered(_low_high(a[1], _reversed(b))[0])
    return _ordered(_low_high(a[0], _reversed(low))[1])


@inlined
def _ordered(a):
    """Sort a sequence that rises and then falls, half by half."""
    if len(a) == 1:
        return a
    low, high = _low_high(a[0], a[1])
    return _ordered(low), _ordered(high)


@inlined
def _low_high(a, b):
    """Elementwise minima and maxima."""
    if len(a) == 1:
        x = a[0]
        y = b[0]
        return (x if x < y else y,), (y if x < y else x,)
    first = _low_high(a[0], b[0])
    second = _low_high(a[1], b[1])
    return (first[0], second[0]), (first[1], second[1])


@inlined
def _reversed(a):
    if len(a) == 1:
        return a
    return _reversed(a[1]), _reversed(a[0])
