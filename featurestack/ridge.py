"""Kernel ridge regression on one-hot targets, solved in closed form.

A model that chooses its own settings flatters itself if it scores the clips that it was
fitted to. Kernel, strength of the penalty and temperature are chosen here by the log
loss of training clips, each answered by the model without its whole recording. One
inverse gives all these answers exactly: with G the kernel plus the penalty, those of a
recording are its targets less (G^-1)_r^-1 (G^-1 targets)_r, where r are its clips. Only
the blocks r of G^-1 are needed, and they are products of columns of L^-1, where LL' is
G (Cholesky). Clips that are tested take no part, nor do those of a class with one
recording: without it, nothing of the class is left.

The same inverse answers the clips of each class by the model without the whole class:
what the model would make of sounds that are none of its classes.

Two kernels are tried: the plain one, z z', whose model is linear, and the mean of it
and the RBF exp(-|z - z'|^2), which is right for few numbers, where least squares on
one-hot targets masks classes. Each block of numbers (a feature, or a layer of a
network) is standardised and weighs the same. A clip's kernel with itself is then 1 on
average, so that one grid of strengths serves every dataset. Standardised values are
held within HELD: a number that is constant in all training clips but one has a tiny
deviation, and a new clip may lie thousands of them away.

Conventions: N clips, D numbers of a clip, K classes, M support clips.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psutil import virtual_memory

from featurestack.base import quantities
from featurestack.base.errors import RequestError
from featurestack.base.terminal import tell_once
from featurestack.comparison.metrics import Floats

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

TargetLabels = NDArray[np.integer] | NDArray[np.bool_]
# log loss, factor and offset of answers (N, K), for targets and counts
LogLoss = Callable[[Floats, Floats, Floats], tuple[float, float, float]]

# ESC-50's layers want 3e-5, chroma of ESC-10 0.1 with the plain kernel
STRENGTHS = 10.0 ** np.arange(-6, 0.1, 0.5)
# Clips, or numbers, above which the kernel is plain. A matrix of so many rows is
# inverted in minutes. With the mixed kernel a model keeps its clips, 100 MB per fold,
# and thirteen layers of YAMNet reach 90.4 % instead of 92.0.
MOST = 10_000
COPIES = 6  # matrices of a number for each two clips that a fit holds
PLAIN, MIXED = "plain", "mixed"
# logit of a class without training clips: finite, but its probability is 0 in float32
ABSENT = -1000.0
HELD = 10.0  # deviations
SURE = 0.9  # probability from which on an answer to a foreign clip is counted
SINGLE = 4_096  # numbers of a clip above which values have single precision
STANDARDISED_BLOCK = 1_024  # numbers that are standardised at once
# Clips up to which every strength is tried. With more, the log loss had one minimum in
# all fits of ESC-50, so strengths are tried one by one while it falls, from the seventh
# for few numbers, else from the fifth.
EVERY, FIRST_OF_FEW, FIRST = 500, 6, 4
# strength, log loss, factor and offset if every class has one recording
UNTESTED = 1e-3, (np.nan, 10.0, 0.0)


class _Solution(NamedTuple):
    """A kernel, a strength, and the logits of answers: factor * (answers - offset)."""

    kernel: str
    strength: float
    loss: float
    factor: float
    offset: float
    dual: Floats  # (N, K) weights of the training clips
    answers: Floats  # (N, K) to each clip, without its recording


class KernelMatrix(NamedTuple):
    """A kernel between the training clips, weighted by how many clips each counts as;
    1 is added to it for the bias.
    """

    name: str
    inputs: Floats | None  # (N, R) of the plain kernel, if clips have few numbers
    products: Floats  # (N, N), or (R, R) of the inputs

    def solve(
        self, targets: Floats, penalty: float, groups: NDArray[np.generic]
    ) -> tuple[Floats, Floats]:
        """(N, K) weights of the clips, and the error for each by the model without its
        group, equal to a refit's. Of a single group, clips are left out one by one.
        """
        from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular

        penalised = self.products.copy(order="F")
        penalised.flat[:: len(penalised) + 1] += penalty
        lower = cholesky(penalised, lower=True, overwrite_a=True, check_finite=False)
        if self.inputs is None:
            dual = cho_solve((lower, True), targets, check_finite=False)
            columns, _ = lapack.dtrtri(lower, lower=True, overwrite_c=True)
        else:
            columns = solve_triangular(
                lower, self.inputs.T, lower=True, check_finite=False
            )
            dual = (targets - columns.T @ (columns @ targets)) / penalty
        group_of = left_out_together(groups)
        sizes = np.bincount(group_of)[group_of]
        order = np.argsort(group_of, kind="stable")
        errors = np.empty_like(dual)
        for size in np.unique(sizes):  # all groups of a size at once
            clips = order[sizes[order] == size].reshape(-1, size)
            of_clips = columns.T[clips]
            transposed = of_clips.transpose(0, 2, 1)
            if self.inputs is not None and size > len(columns):  # by the smaller matrix
                rest = np.eye(len(columns)) - transposed @ of_clips
                inner = np.linalg.solve(rest, transposed @ dual[clips])
                errors[clips] = penalty * (dual[clips] + of_clips @ inner)
                continue
            gram = of_clips @ transposed
            if self.inputs is not None:
                gram = (np.eye(size) - gram) / penalty
            errors[clips] = np.linalg.solve(gram, dual[clips])
        return dual, errors


class Standard(NamedTuple):
    """Means and scales of numbers, and the bounds of standardised ones."""

    mean: Floats  # (D,)
    scale: Floats  # (D,) a constant number has its block's
    bound: Floats  # (D,)

    def of(
        self, x: NDArray[np.floating], *, overwrite: bool = False
    ) -> NDArray[np.floating]:
        """(N, D) standardised; in the memory of x if its type is that of the values."""
        kind = np.float32 if x.shape[1] > SINGLE else np.float64
        z = x if overwrite and x.dtype == kind else np.empty(x.shape, kind)
        for part in parts(x.shape[1]):
            exact = (x[:, part] - self.mean[part]) / self.scale[part]
            z[:, part] = np.clip(exact, -self.bound[part], self.bound[part])
        return z


def parts(numbers: int) -> list[slice]:
    """Slices of STANDARDISED_BLOCK numbers, so that a copy of one slice is small."""
    return [
        slice(first, first + STANDARDISED_BLOCK)
        for first in range(0, numbers, STANDARDISED_BLOCK)
    ]


@dataclass(frozen=True)
class RidgeModel:
    """Standardise, then a linear layer; with the mixed kernel also one on the
    similarities to the support clips.
    """

    standard: Standard
    weight: NDArray[np.floating]  # (K, D)
    bias: Floats  # (K,)
    support: NDArray[np.floating]  # (M, D) standardised
    dual: Floats  # (K, M)
    # (K, K) the clips of each class, by the class that the model without theirs is SURE
    # of; clips for which it is not are on the diagonal. (0, 0) if no class is left out
    foreign: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def logits(self, x: NDArray[np.floating]) -> Floats:
        """(N, K) of x (N, D)."""
        z = self.standard.of(x)
        logits = z @ self.weight.T + self.bias
        if len(self.support):
            squares = [np.einsum("nd,nd->n", rows, rows) for rows in (z, self.support)]
            logits += similarities(z @ self.support.T, *squares) @ self.dual.T
        return logits


@cache
def linear_algebra() -> "ThreadpoolController":
    """The threads of numpy's and scipy's libraries. To find these takes as long as a
    small fit.
    """
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def fit(
    x: NDArray[np.floating],
    y: TargetLabels,
    classes: int,
    blocks: Sequence[int],
    groups: NDArray[np.generic],
    originals: NDArray[np.bool_] | None = None,
    class_weights: NDArray[np.floating] | None = None,
    *,
    overwrite: bool = False,
    foreign: bool = False,
) -> RidgeModel:
    """The model of training clips x (N, D) and class numbers y (N,), or labels (N, K).

    blocks         numbers of each block, D in all
    groups         (N,) source recordings
    originals      (N,) the clips that give means, deviations and the choice
    class_weights  (K,) the weight of a clip of each class; for labels, the factor by
                   which a label's odds are raised
    overwrite      whether the memory of x may be used
    foreign        whether each class is left out, which takes as long as one strength
    """
    chosen_on = np.ones(len(x), bool) if originals is None else originals
    every = (y if y.ndim == 2 else np.eye(classes)[y]).astype(np.float64)
    shares = every.mean(axis=0)
    fitted = np.flatnonzero((shares > 0) & (shares < 1))
    bias = np.where(shares == 1, -ABSENT, ABSENT) * (y.ndim == 2 or len(fitted) > 0)
    counts = np.ones(len(x))
    if class_weights is not None and y.ndim == 1:
        counts = class_weights[y].astype(float)
    standard = standardisation(x if chosen_on.all() else x[chosen_on], blocks)
    z = standard.of(x, overwrite=overwrite)
    del x  # a caller that has no other use of it needs one copy
    weight = np.zeros((classes, z.shape[1]), z.dtype)
    model = RidgeModel(standard, weight, bias, z[:0], np.zeros((classes, 0)))
    if not len(fitted):
        return model
    targets = every[:, fitted]
    with linear_algebra().limit(limits=1):  # sums have the same order on every machine
        log_loss = label_loss if y.ndim == 2 else class_loss
        tested = chosen_on & has_others(targets, groups)
        kernels = kernels_of(names_of_kernels(z), z, counts)
        choice = choose(kernels, targets, counts, groups, tested, log_loss)
        if foreign and y.ndim == 1 and len(fitted) > 2:
            sure = sure_without_class(kernels, choice, targets, counts, chosen_on)
            of_classes = np.zeros((classes, classes))
            of_classes[np.ix_(fitted, fitted)] = sure
            model = replace(model, foreign=of_classes)
    of_clips = np.zeros((classes, len(z)))
    of_clips[fitted] = choice.factor * choice.dual.T
    bias[fitted] = of_clips[fitted].sum(axis=1) - choice.factor * choice.offset
    if class_weights is not None and y.ndim == 2:
        bias[fitted] += np.log(class_weights[fitted])
    share = 1.0 if choice.kernel == PLAIN else 0.5
    for part in parts(z.shape[1]):
        weight[:, part] = share * of_clips @ z[:, part]
    if choice.kernel == PLAIN:
        return model
    return replace(model, support=z, dual=share * of_clips)


def standardisation(x: NDArray[np.floating], blocks: Sequence[int]) -> Standard:
    """The standardisation by which each block's squares sum to 1 / blocks on average,
    apart from values beyond HELD.
    """
    moments = [
        means_and_deviations(x[:, part].astype(np.float64))
        for part in parts(x.shape[1])
    ]
    mean, scale = np.concatenate(moments, axis=1)
    varying = x.max(axis=0) > x.min(axis=0)
    first = np.cumsum([0, *blocks[:-1]])
    sizes = np.add.reduceat(varying.astype(float), first)
    shares = np.maximum(sizes, 1) * np.count_nonzero(sizes)
    root = np.repeat(np.sqrt(np.maximum(shares, 1)), blocks)
    return Standard(mean, scale * root, HELD / root)


def means_and_deviations(x: Floats) -> tuple[Floats, Floats]:
    """(D,) means and deviations of x (N, D), to the bit those of scikit-learn's
    StandardScaler; the deviation of a constant column is 1.
    """
    clips = np.float64(len(x))
    mean = x.sum(axis=0) / clips
    centred = x - mean
    correction = centred.sum(axis=0)
    centred **= 2
    variance = (centred.sum(axis=0) - correction**2 / clips) / clips
    rounding = np.finfo(np.float64).eps
    constant = variance <= clips * rounding * variance + (clips * mean * rounding) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))


def has_others(targets: Floats, groups: NDArray[np.generic]) -> NDArray[np.bool_]:
    """(N,) whether each class of a clip occurs in other recordings too."""
    clip, label = np.nonzero(targets > 0)
    _, label = np.unique([left_out_together(groups)[clip], label], axis=1)
    alone = np.bincount(label, minlength=targets.shape[1]) < 2
    has_alone = np.asarray((targets[:, alone] > 0).any(axis=1))
    return ~has_alone


def names_of_kernels(z: NDArray[np.floating]) -> list[str]:
    """The kernels that are tried; RequestError if there is none."""
    clips, numbers = z.shape
    if min(clips, numbers) > MOST:
        raise RequestError(
            f"MODEL=ridge takes at most {MOST:,} training clips, or as many numbers of"
            f" a clip, and there are {clips:,} and {numbers:,}: give fewer features,"
            " or MODEL=linear"
        )
    # the machine's memory, not what is free of it, so that a run can be repeated
    needed = COPIES * 8 * clips**2
    too_large = needed > virtual_memory().total / 2
    if clips > MOST or (too_large and numbers < clips):
        tell_once(
            f"ridge: {clips:,} training clips are too many for a kernel with RBF"
            f" ({quantities.size(needed)} of memory), so it is plain"
        )
        return [PLAIN]
    return [PLAIN] if numbers > MOST else [PLAIN, MIXED]


def similarities(
    products: NDArray[np.floating],
    squares: NDArray[np.floating],
    others: NDArray[np.floating],
) -> NDArray[np.floating]:
    """(N, M) the RBF kernel of z and support, from z support' and their squares."""
    distances = squares[:, None] + others
    distances -= 2 * products
    np.maximum(distances, 0, out=distances)
    np.negative(distances, out=distances)
    return np.exp(distances, out=distances)


def kernels_of(
    names: Sequence[str], z: NDArray[np.floating], counts: Floats
) -> list[KernelMatrix]:
    """The kernels between clips, each weighted by its count."""
    root = np.sqrt(counts)[:, None]
    clips, numbers = z.shape
    few = numbers < clips
    kernels = []
    if MIXED in names or not few:
        # computed once: it takes most of the time if there are many numbers
        products: Floats = (z @ z.T).astype(np.float64, copy=False)
    if PLAIN in names and few:
        inputs = np.column_stack([z, np.ones(clips)]) * root
        kernels.append(KernelMatrix(PLAIN, inputs, inputs.T @ inputs))
    elif PLAIN in names:
        kernels.append(KernelMatrix(PLAIN, None, counted(products.copy(), root)))
    if MIXED in names:
        squares = np.diag(products)
        mixed = similarities(products, squares, squares)
        mixed += products
        mixed /= 2
        kernels.append(KernelMatrix(MIXED, None, counted(mixed, root)))
    return kernels


def counted(kernel: NDArray[np.floating], root: Floats) -> Floats:
    """Add 1 to the kernel in place, and scale its rows and columns by `root` (N, 1)."""
    kernel += 1
    kernel *= root
    kernel *= root.T
    return kernel.astype(np.float64, copy=False)


def left_out_together(groups: NDArray[np.generic]) -> NDArray[np.intp]:
    """(N,) the number of a clip's group; the clip's own if there is a single group."""
    group_of = np.unique(groups, return_inverse=True)[1]
    return group_of if group_of.any() else np.arange(len(groups))


def choose(
    kernels: Sequence[KernelMatrix],
    targets: Floats,
    counts: Floats,
    groups: NDArray[np.generic],
    tested: NDArray[np.bool_],
    log_loss: LogLoss,
) -> _Solution:
    """The kernel and strength with the least log loss on the tested clips (N,), each
    answered without its recording.
    """
    root = np.sqrt(counts)[:, None]

    def fitted(kernel: KernelMatrix, strength: float) -> _Solution:
        penalty = len(targets) * strength
        dual, errors = kernel.solve(root * targets, penalty, groups)
        answers = targets - errors / root
        loss = UNTESTED[1]
        if tested.any():
            loss = log_loss(answers[tested], targets[tested], counts[tested])
        return _Solution(kernel.name, strength, *loss, root * dual, answers)

    if not tested.any():
        return fitted(kernels[0], UNTESTED[0])
    choices = []
    for kernel in kernels:
        first = FIRST if kernel.inputs is None else FIRST_OF_FEW
        every = len(targets) <= EVERY
        choices.append(lowest(partial(fitted, kernel), first, every=every))
    return min(choices, key=lambda choice: choice.loss)


def sure_without_class(
    kernels: Sequence[KernelMatrix],
    choice: _Solution,
    targets: Floats,
    counts: Floats,
    chosen_on: NDArray[np.bool_],
) -> Floats:
    """(K, K) the clips (N,) that choose, as `RidgeModel.foreign` has them."""
    kernel = next(each for each in kernels if each.name == choice.kernel)
    classes = targets.argmax(axis=1)
    root = np.sqrt(counts)[:, None]
    penalty = len(targets) * choice.strength
    _, errors = kernel.solve(root * targets, penalty, classes)
    logits = choice.factor * (targets - errors / root)
    logits[targets > 0] = -np.inf
    highest = logits.max(axis=1, keepdims=True)
    sure = 1 / np.exp(logits - highest).sum(axis=1) >= SURE
    answered = np.where(sure, logits.argmax(axis=1), classes)
    foreign = np.zeros((targets.shape[1],) * 2)
    np.add.at(foreign, (classes[chosen_on], answered[chosen_on]), 1)
    return foreign


def share_of_sure(foreign: NDArray[np.number]) -> float:
    """The share of clips for which the models without their class are SURE of another
    one, of the counts (K, K) of `RidgeModel.foreign`.
    """
    return float(1 - np.trace(foreign) / foreign.sum())


def lowest(
    fitted: Callable[[float], _Solution], first: int, *, every: bool
) -> _Solution:
    """The choice with the least loss, among every strength or downhill from `first`."""
    at = cache(lambda place: fitted(float(STRENGTHS[place])))
    last = len(STRENGTHS) - 1
    best = min(first, last)
    if every:
        best = min(range(last + 1), key=lambda place: at(place).loss)
    for step in (-1, 1):
        while 0 <= best + step <= last and at(best + step).loss < at(best).loss:
            best += step
    chosen: _Solution = at(best)
    return chosen


def class_loss(
    answers: Floats, targets: Floats, counts: Floats
) -> tuple[float, float, float]:
    """The least log loss of softmax(factor * answers), its factor, and no offset."""
    from scipy.optimize import minimize_scalar

    below = answers - answers.max(axis=1, keepdims=True)
    true_class = (below * targets).sum(axis=1)
    clips = counts.sum()

    def loss(log_factor: float) -> float:
        factor = np.exp(log_factor)
        each = np.log(np.exp(factor * below).sum(axis=1)) - factor * true_class
        return float((each * counts).sum() / clips)

    # beyond 1,000 a probability is 0 or 1 in float32
    least = minimize_scalar(loss, bounds=(0, np.log(1_000)), method="bounded")
    return float(least.fun), float(np.exp(least.x)), 0.0


def label_loss(
    answers: Floats, targets: Floats, counts: Floats
) -> tuple[float, float, float]:
    """The same for labels, with one factor and offset for all (Platt 1999)."""
    from scipy.optimize import minimize
    from scipy.special import expit

    labels = targets.ravel()
    mean, scale = means_and_deviations(answers.reshape(-1, 1))
    standard = (answers.ravel() - mean) / scale

    def loss(weights: Floats) -> tuple[float, Floats]:
        """The loss and its derivatives by both weights; a penalty keeps them finite."""
        logits = weights[0] * standard + weights[1]
        each = np.logaddexp(0, logits) - labels * logits
        errors = expit(logits) - labels
        size = weights * [1, 0] / len(labels)
        slope = np.array([(errors * standard).mean(), errors.mean()]) + size
        return float(each.mean() + (size * weights).sum() / 2), slope

    weight, bias = minimize(loss, [0.0, 0.0], jac=True, options={"gtol": 1e-7}).x
    factor = float(weight / scale[0])
    constant = float(bias) - factor * float(mean[0])
    logits = factor * answers.ravel() + constant
    each = np.logaddexp(0, logits) - labels * logits
    return float(each.mean()), factor, -constant / factor if factor else 0.0
