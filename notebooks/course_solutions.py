"""Answers to course.ipynb, a cell each, kept apart from the questions: `# %% question-3` begins the third."""

# %% question-1
def peak_hertz(spectrum, hertz):
    return hertz[spectrum.mean(axis=1).argmax()]


# %% question-2
def frames(samples, hop_length):
    return 1 + samples // hop_length


# %% question-3
unchanged = {"zcr", "centroid", "chroma"}

# %% question-4
def centroid(magnitude, hertz):
    return (hertz[:, None] * magnitude).sum(axis=0) / magnitude.sum(axis=0)


# %% question-5
name = "mel@n_mels=64,hop_length=441:0-31"

# %% question-6
from scipy.fft import dct


def mfcc(mel):
    return dct(mel, type=2, norm="ortho", axis=0)[:40]


# %% question-7
cache = lab.extract("mel mfcc chroma", DATASET, DATA)


def row_means(feature):
    return cache.read(feature, cache.clips.clip_id.to_list()).astype(np.float64).mean(axis=2)


# %% question-8
def fisher(x, labels):
    groups = [x[labels == label] for label in np.unique(labels)]
    between = np.var([group.mean(axis=0) for group in groups], axis=0)
    return between / np.mean([group.var(axis=0) for group in groups], axis=0)


# %% question-9
def leaked(training, testing):
    return set(training.group) & set(testing.group)


# %% question-10
one, other = (
    lab.train(dataset=DATASET, data=DATA, runs=RUNS, features=features, model="linear")
    for features in ("mel", "mel+mfcc+chroma")
)


def accuracy(run, fold):
    rows = run.predictions(fold)
    return (rows[run.classes].idxmax(axis=1) == rows.target).mean()


def difference(one, other):
    gained = [accuracy(other, fold) - accuracy(one, fold) for fold in one.finished]
    return np.mean(gained), np.std(gained, ddof=1)


# %% question-11
def only(one, other):
    a, b = (run.predictions().set_index("clip_id") for run in (one, other))
    a, b = (rows[one.classes].idxmax(axis=1) == rows.target for rows in (a, b.loc[a.index]))
    return int((a & ~b).sum()), int((b & ~a).sum())
