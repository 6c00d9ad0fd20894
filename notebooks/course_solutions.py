"""Answers to the course, kept apart from the questions: `# %% 3_cache_and_train question-bytes` begins the answer to that cell.

The predictions are examples, and some are wrong on purpose. The cells run in the notebooks, not here.
"""

# %% 1_listen_and_look question-tone
def peak_hertz(spectrum, hertz):
    return hertz[spectrum.mean(axis=1).argmax()]


# %% 1_listen_and_look question-frames
def frames(samples, hop_length):
    return 1 + samples // hop_length


# %% 1_listen_and_look predict-click
prediction = 8

# %% 1_listen_and_look predict-classes
prediction = ["hiss", "knocks", "steady_beat", "hollow_drone", "chimes_in_c", "swells"]


# %% 1_listen_and_look question-share
def harmonic_share(harmonic, percussive):
    energies = [np.sum(np.square(part, dtype=float)) for part in (harmonic, percussive)]
    return energies[0] / sum(energies)


# %% 1_listen_and_look predict-share
prediction = {"largest": "bright_drone", "smallest": "knocks"}

# %% 2_describe question-loudness
unchanged = {"zcr", "centroid", "chroma"}


# %% 2_describe question-centroid
def centroid(magnitude, hertz):
    return (hertz[:, None] * magnitude).sum(axis=0) / magnitude.sum(axis=0)


# %% 2_describe question-mfcc
from scipy.fft import dct


def mfcc(mel):
    return dct(mel, type=2, norm="ortho", axis=0)[:40]


# %% 2_describe predict-brightest
prediction = "hiss"


# %% 2_describe question-fisher
def fisher(x, labels):
    classes = [x[labels == label] for label in np.unique(labels)]
    between = np.var([values.mean(axis=0) for values in classes], axis=0)
    return between / np.mean([values.var(axis=0) for values in classes], axis=0)


# %% 2_describe predict-chance
prediction = 0.1

# %% 2_describe predict-pairs
prediction = {"chimes": "chroma", "beats": "tempogram", "drones": "mfcc", "noises": "mel", "bursts": "onset"}

# %% 3_cache_and_train question-variant
name = "mel@n_mels=64,hop_length=441:0-31"


# %% 3_cache_and_train question-bytes
def size(clips, rows, frames):
    return 2 * clips * rows * frames


# %% 3_cache_and_train question-means
def row_means(feature):
    return cache.read(feature, cache.clips.clip_id.to_list()).astype(np.float32).mean(axis=2)


# %% 3_cache_and_train question-leaked
def leaked(training, testing):
    return set(training.group) & set(testing.group)


# %% 3_cache_and_train predict-accuracy
prediction = 0.6


# %% 3_cache_and_train question-accuracy
def accuracy(predictions, classes):
    return (predictions[classes].idxmax(axis=1) == predictions.target).mean()


# %% 3_cache_and_train predict-confused
prediction = {"steady_beat", "galloping_beat"}

# %% 4_stacks_of_three question-shape
shape = (32, 3, 64, 108)

# %% 4_stacks_of_three predict-sets
prediction = {"mel": 0.6, "mel+mel+mel": 0.6, "mel+mfcc+chroma": 0.75}


# %% 4_stacks_of_three question-optimism
def optimism(history):
    scored = history.test_accuracy.dropna()
    return scored.max() - scored.iloc[-1]


# %% 4_stacks_of_three predict-optimism
prediction = 0.05

# %% 4b_what_resnet18_does question-block
class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + x)


block = Block


# %% 4b_what_resnet18_does question-parameters
def parameters(inputs, width):
    layers = 9 * inputs * width + 9 * width * width + 4 * width
    shortcut = inputs * width + 2 * width
    return layers + (shortcut if inputs != width else 0)


# %% 4b_what_resnet18_does question-first
def first_weights(channels):
    return 64 * channels * 7 * 7


# %% 4b_what_resnet18_does predict-gap
prediction = {"plain": 0.5, "augmented": 0.3}


# %% 4b_what_resnet18_does question-stopping
def stopping(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        if epoch - best >= patience:
            break
    return epoch + 1, best + 1


# %% 4b_what_resnet18_does question-categories
def category_accuracy(rows, category):
    predicted = rows[list(category)].T.groupby(category).sum().T.idxmax(axis=1)
    return float((predicted == rows.target.map(category)).mean())


# %% 4b_what_resnet18_does predict-categories
prediction = {"classes": 0.5, "categories": 0.7}

# %% 5_compare predict-theory
prediction = {"chimes": "chroma", "beats": "tempogram", "drones": "mel", "noises": "mel", "bursts": "onset"}


# %% 5_compare question-difference
def difference(one, other):
    gained = np.subtract(other, one)
    return gained.mean(), gained.std(ddof=1)


# %% 5_compare question-discordant
def only(one, other):
    other = other[one.index]
    return int((one & ~other).sum()), int((other & ~one).sum())


# %% 5_compare question-mcnemar
from scipy.stats import binomtest


def p_value(b, c):
    return binomtest(b, b + c).pvalue if b + c else 1.0


# %% 5_compare predict-significant
prediction = 3


# %% 5_compare question-vectors
def vectors(samples):
    frames = 1 + (samples - 512) // 160
    return max(1, 1 + (frames - 76) // 8)


# %% 6_own_sounds question-groups
GROUP = r"([a-z]+-\d+-\d+-\d+)"


# %% 6_own_sounds question-width
def half_width(accuracy, n):
    return 1.96 * (accuracy * (1 - accuracy) / n) ** 0.5


# %% 6_own_sounds predict-own
prediction = {"mel": 0.9, "mel+mfcc+chroma": 0.95}


# %% 7_several_labels question-precision
def average_precision(scores, present):
    order = present[np.argsort(-scores)]
    precision = np.cumsum(order) / np.arange(1, len(order) + 1)
    return precision[order].mean()


# %% 7_several_labels predict-random
prediction = 0.5

# %% 7_several_labels predict-mel
prediction = {"galloping_beat", "steady_beat"}


# %% 7_several_labels question-threshold
def threshold(scores, present):
    def f1(limit):
        chosen = scores > limit
        return 2 * (chosen & present).sum() / max(1, chosen.sum() + present.sum())

    return max([scores.min() - 1, *scores], key=f1)
