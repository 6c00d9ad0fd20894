"""Harmonic-percussive separation of a spectrogram, by medians along frames and along bins.

The running median of 31 is shared between neighbouring windows, without a branch. Sixteen neighbouring
windows have sixteen values in common. These are sorted once. Then the block of windows is halved again and
again: eight windows share eight more values, four share four more, two share two, and at last each window
gets one of its own. At every step only those ranks are kept that can still become the median: the middle 8 of
24 values, 4 of 28, 2 of 30, 1 of 31. All of it is minima and maxima, about 28 a median, which the compiler
does for sixteen frames at once (after A. Adams, Fast median filters using separable sorting networks, ACM
Transactions on Graphics 40(4), 2021).
"""

import numpy as np
import scipy

from pipeline.kernels import compiled

NOTHING = np.finfo(np.float32).tiny  # less than this, and librosa splits in halves
TILE = 8  # columns that are turned round at a time
SIZE = 31
WINDOWS = 16  # windows that share their work
NEEDED = WINDOWS + SIZE - 1  # rows that a block of windows looks at
LANES = 64  # frames that are done at a time; a tile of NEEDED rows stays in the first-level cache


def harmonic_percussive(magnitude: np.ndarray, kernel_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Energies of the harmonic and the percussive part: the squares of `librosa.decompose.hpss(magnitude)`.

    `magnitude` is (bins, frames) float32, not negative. Harmonic energy is smooth along frames, percussive
    energy along bins.
    """
    along_frames = _turned(running_median(_turned(magnitude), kernel_size))
    along_bins = running_median(magnitude, kernel_size)
    _masked_energies(magnitude.reshape(-1), along_frames.reshape(-1), along_bins.reshape(-1))
    return along_frames, along_bins


@compiled
def _turned(rows: np.ndarray) -> np.ndarray:
    """`rows.T.copy()`, in small tiles for the sake of the caches."""
    turned = np.empty((rows.shape[1], rows.shape[0]), rows.dtype)
    for corner in range(0, rows.shape[1], TILE):
        for row in range(rows.shape[0]):
            for k in range(corner, min(corner + TILE, rows.shape[1])):
                turned[k, row] = rows[row, k]
    return turned


@compiled
def _masked_energies(magnitude: np.ndarray, harmonic: np.ndarray, percussive: np.ndarray) -> None:
    """Replace both medians by (magnitude * mask) ** 2, the mask being `librosa.util.softmask(power=2)`."""
    for i in range(magnitude.size):
        larger = max(harmonic[i], percussive[i])
        nothing = larger < NOTHING
        h = np.float32(1) if nothing else harmonic[i] / larger
        p = np.float32(1) if nothing else percussive[i] / larger
        part = magnitude[i] / (h * h + p * p)
        harmonic[i] = (part * h * h) ** 2
        percussive[i] = (part * p * p) ** 2


def running_median(rows: np.ndarray, size: int) -> np.ndarray:
    """The median of each `size` neighbouring rows: `scipy.ndimage.median_filter(rows, (size, 1))`.

    `rows` is (rows, frames) float32 without NaN; the ends are reflected, d c b a | a b c d | d c b a. (Of
    two rows scipy 1.17 makes something that depends on their order in memory; here it is their median.)
    """
    if size != SIZE:
        return scipy.ndimage.median_filter(rows, size=(size, 1), mode="reflect")
    frames = rows.shape[1]
    if frames < LANES:
        rows = np.pad(rows, ((0, 0), (0, LANES - frames)))
    reflected = np.pad(np.arange(len(rows)), (SIZE // 2, SIZE // 2 + WINDOWS), mode="symmetric")
    medians = np.empty_like(rows)
    _medians(rows, reflected, medians)
    return np.ascontiguousarray(medians[:, :frames])


@compiled
def _medians(rows, reflected, medians):  # type: ignore[no-untyped-def]
    """Tile by tile, because the compiler vectorises only what it knows to lie in one piece."""
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


@compiled
def _windows(t, done):  # type: ignore[no-untyped-def]
    """Medians of the windows 0 to 15 of a tile, window w being its rows w to w + 30.

    Names give the rows that were merged: `s7` is rows 7 to 14 in order.
    """
    for lane in range(LANES):
        s3 = _merge2(_pair(t, 3, lane), _pair(t, 5, lane))
        s11 = _merge2(_pair(t, 11, lane), _pair(t, 13, lane))
        s31 = _merge2(_pair(t, 31, lane), _pair(t, 33, lane))
        s39 = _merge2(_pair(t, 39, lane), _pair(t, 41, lane))
        s7 = _merge4(_merge2(_pair(t, 7, lane), _pair(t, 9, lane)), s11)
        s31_38 = _merge4(s31, _merge2(_pair(t, 35, lane), _pair(t, 37, lane)))
        s15 = _merge4(
            _merge2(_pair(t, 15, lane), _pair(t, 17, lane)), _merge2(_pair(t, 19, lane), _pair(t, 21, lane))
        )
        s23 = _merge4(
            _merge2(_pair(t, 23, lane), _pair(t, 25, lane)), _merge2(_pair(t, 27, lane), _pair(t, 29, lane))
        )
        common = _merge8(s15, s23)
        early = _middle8(common, s7)
        _four_windows(t, lane, done, 0, _middle4(early, s3))
        _four_windows(t, lane, done, 4, _middle4(early, s31))
        late = _middle8(common, s31_38)
        _four_windows(t, lane, done, 8, _middle4(late, s11))
        _four_windows(t, lane, done, 12, _middle4(late, s39))


@compiled
def _four_windows(t, lane, done, w, kept):  # type: ignore[no-untyped-def]
    """The windows w to w + 3, from the middle 4 of the 28 values that they share."""
    first = _middle2(kept, _pair(t, w + 1, lane))
    done[w * LANES + lane] = _middle1(first, t[w * LANES + lane])
    done[(w + 1) * LANES + lane] = _middle1(first, t[(w + 31) * LANES + lane])
    second = _middle2(kept, _pair(t, w + 31, lane))
    done[(w + 2) * LANES + lane] = _middle1(second, t[(w + 2) * LANES + lane])
    done[(w + 3) * LANES + lane] = _middle1(second, t[(w + 33) * LANES + lane])


@compiled
def _pair(t, row, lane):  # type: ignore[no-untyped-def]
    """Two neighbouring rows, in order."""
    return _in_order2((t[row * LANES + lane], t[(row + 1) * LANES + lane]))


# Merging two sorted tuples: the second turned round, so that both rise and then fall, and put in order.


@compiled
def _merge2(a, b):  # type: ignore[no-untyped-def]
    return _in_order4(a + b[::-1])


@compiled
def _merge4(a, b):  # type: ignore[no-untyped-def]
    return _in_order8(a + b[::-1])


@compiled
def _merge8(a, b):  # type: ignore[no-untyped-def]
    a, b = _low_high8(a, b[::-1])
    return _in_order8(a) + _in_order8(b)


# Of two sorted tuples, the ranks that are left when as many as `b` has fall away below and above.


@compiled
def _middle8(a, b):  # type: ignore[no-untyped-def]
    low = _in_order8(_low_high8(a[8:], b[::-1])[0])
    return _in_order8(_low_high8(a[:8], low[::-1])[1])


@compiled
def _middle4(a, b):  # type: ignore[no-untyped-def]
    low = _in_order4(_low_high4(a[4:], b[::-1])[0])
    return _in_order4(_low_high4(a[:4], low[::-1])[1])


@compiled
def _middle2(a, b):  # type: ignore[no-untyped-def]
    low = _in_order2(_low_high2(a[2:], b[::-1])[0])
    return _in_order2(_low_high2(a[:2], low[::-1])[1])


@compiled
def _middle1(a, b):  # type: ignore[no-untyped-def]
    return _high(a[0], _low(a[1], b))


# Putting in order what rises and then falls: halves are compared element by element, then each is ordered.


@compiled
def _in_order8(a):  # type: ignore[no-untyped-def]
    low, high = _low_high4(a[:4], a[4:])
    return _in_order4(low) + _in_order4(high)


@compiled
def _in_order4(a):  # type: ignore[no-untyped-def]
    low, high = _low_high2(a[:2], a[2:])
    return _in_order2(low) + _in_order2(high)


@compiled
def _in_order2(a):  # type: ignore[no-untyped-def]
    return _low(a[0], a[1]), _high(a[0], a[1])


@compiled
def _low_high8(a, b):  # type: ignore[no-untyped-def]
    low, high = _low_high4(a[:4], b[:4])
    low_end, high_end = _low_high4(a[4:], b[4:])
    return low + low_end, high + high_end


@compiled
def _low_high4(a, b):  # type: ignore[no-untyped-def]
    low, high = _low_high2(a[:2], b[:2])
    low_end, high_end = _low_high2(a[2:], b[2:])
    return low + low_end, high + high_end


@compiled
def _low_high2(a, b):  # type: ignore[no-untyped-def]
    return (_low(a[0], b[0]), _low(a[1], b[1])), (_high(a[0], b[0]), _high(a[1], b[1]))


@compiled
def _low(a, b):  # type: ignore[no-untyped-def]
    return a if a < b else b


@compiled
def _high(a, b):  # type: ignore[no-untyped-def]
    return b if a < b else a
