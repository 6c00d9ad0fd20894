"""Projections of clips to two coordinates: principal components, and t-SNE.

Both functions take the leading principal `components` (N, D) of N clips.
"""

import numpy as np

from featurestack.analysis.separability import squared_distances
from featurestack.results.scores import Floats

TSNE_STEPS = 500  # half of the usual number, which is enough for some hundred clips
TSNE_RATE = 50.0  # learning rate that scikit-learn chooses for so few clips
PERPLEXITY = 30.0  # the usual one; it is (clips - 1) / 3 for fewer than 91 clips


def pca_projection(components: Floats) -> Floats:
    """Two coordinates (N, 2) of each clip: the first two principal components, 0 for a
    missing one.
    """
    padded = np.pad(components, ((0, 0), (0, 2)))
    return padded[:, :2]


def tsne_projection(components: Floats) -> Floats:
    """Two coordinates (N, 2) of each clip by t-SNE that starts from the PCA projection.

    The PCA projection itself is returned for fewer than five clips, and if there are no
    components. The gradient is exact (van der Maaten and Hinton 2008): scikit-learn's
    approximation is for thousands of clips, and its import alone takes longer than
    this.
    """
    points = pca_projection(components)
    count = len(components)
    if count < 5 or not components.shape[1]:
        return points
    points = points * 1e-4 / points[:, 0].std()
    near = _neighbours(components)
    joint = (near + near.T) / (2 * count)
    step = np.zeros_like(points)
    gain = np.ones_like(points)
    for number in range(TSNE_STEPS):
        # with exaggerated attraction, so that clusters form
        early = number < TSNE_STEPS / 2
        kernel = 1 / (1 + squared_distances(points))
        np.fill_diagonal(kernel, 0)
        exaggeration = 12 if early else 1
        momentum = 0.5 if early else 0.8
        present = kernel / kernel.sum()
        force = (joint * exaggeration - present) * kernel
        pull = force.sum(axis=1, keepdims=True) * points
        gradient = 4 * (pull - force @ points)
        turned = gradient * step < 0
        gain = np.where(turned, gain + 0.2, gain * 0.8)
        gain = np.maximum(gain, 0.01)
        step = momentum * step - TSNE_RATE * gain * gradient
        points = points + step
    return points


def _neighbours(components: Floats) -> Floats:
    """(N, N) how near each clip is to each other one: rows sum to one and have the
    perplexity.
    """
    count = len(components)
    perplexity = min(PERPLEXITY, (count - 1) / 3)
    distance = squared_distances(components)
    distance = distance / components.var(axis=0).sum()
    np.fill_diagonal(distance, np.inf)
    distance -= distance.min(axis=1, keepdims=True)
    low = np.full((count, 1), -20.0)
    high = np.full((count, 1), 20.0)
    # bisect the logarithm of each clip's precision
    for _ in range(30):
        middle = (low + high) / 2
        near = np.exp(-np.exp(middle) * distance)
        near /= near.sum(axis=1, keepdims=True)
        terms = near * np.log(near + 1e-300)
        entropy = -terms.sum(axis=1, keepdims=True)
        wide = entropy > np.log(perplexity)
        low = np.where(wide, middle, low)
        high = np.where(wide, high, middle)
    return near
