"""Features, one decorated function each, and the registry that holds them.

    @feature(units="dB", rows=mel_axis, row_unit="Hz")
    def mel(clip: Clip, *, bank: MelBank, framing: Framing) -> np.ndarray:
        ...

The function's name is the feature's, its keyword-only arguments are its parameters, its
docstring is its card, and its result has the shape (rows, frames). A module of this
folder is imported when one of its features is first used, so that a new feature needs
only a file.
"""

import dataclasses
import functools
import pkgutil
import typing
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, TypeVar

import numpy as np

from featurestack.base.errors import RequestError, most_alike, nearest
from featurestack.base.registry import Registry, code_digest, refuse_positional
from featurestack.features_cache.feature_names import (
    FRAMING,
    FeatureName,
    parse_feature_name,
    parse_set,
)
from featurestack.features_cache.hdf5 import CachedFeature, difference, to_stored
from featurestack.pipeline import kernels, parameters
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.parameters import (
    FRAME,
    Impossible,
    Parameter,
    Value,
    samples_of_frame,
)

Function = Callable[..., np.ndarray]
Defined = TypeVar("Defined", bound=Function)

# further arguments of the decorator
DESCRIBED = (
    "rows",
    "row_unit",
    "frames",
    "frame_unit",
    "estimated",
    "experiment",
    "version",
    "recorded",
)
USUAL_RATE = 44_100  # Hz; a name does not state the clips' rate


@dataclass(frozen=True)
class FeatureDefinition:
    """A feature that can be computed: its function, the units of its values, rows and
    frames, and, from `resolve_feature`, its parameters, such as those of mel@n_mels=64.
    """

    name: str
    function: Function
    units: str
    rows: int | np.ndarray | Callable[..., int | np.ndarray] = 1
    row_unit: str = "index"
    frames: Function | None = parameters.centred_frames  # None: one column, a vector
    frame_unit: str = "s"
    estimated: bool = False  # values follow an estimated tuning or tempo
    experiment: bool = False  # only its name chooses it, FEATURES=all does not
    version: int = 1
    code: str = ""  # for a user's own feature, the digest of its function's source
    # (**parameters) -> facts that the values depend on, such as a network file's digest
    recorded: Callable[..., dict[str, str]] | None = None
    # (**parameters) -> the feature from whose stored map it is computed
    source_of: Callable[..., str] | None = None

    # ---- by resolve_feature

    stored: str = ""  # canonical name, "mel@n_mels=64": keys sorted, defaults dropped
    # every one, in the order of the signature
    parameters: Mapping[str, Value] = field(default_factory=dict)
    # keyword arguments, kept because reading a signature is slow
    arguments: Mapping[str, object] = field(default_factory=dict)
    sample_rate: int = 0  # of the clips, 0 without audio
    # stored name of the feature whose map it reads; '' if it reads audio
    source: str = ""
    shapes: dict[tuple[int, int], tuple[int, int]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def code_version(self) -> int | str:
        """The version, followed for a user's own feature by the digest of its code."""
        return f"{self.version}, {self.code}" if self.code else self.version

    @functools.cached_property
    def declared(self) -> Registry[Parameter]:
        """The parameters in the function's signature, in order, groups flattened."""
        declared: Registry[Parameter] = Registry("parameter")
        for _, _, fields in parameters.arguments(self.function):
            for name, keyword in fields.items():
                annotation = keyword.annotation
                if NoneType in typing.get_args(annotation):  # Samples | None
                    annotation = typing.get_args(annotation)[0]
                if annotation is keyword.empty:  # q=0.5
                    annotation = type(keyword.default)
                kind, within = typing.get_args(annotation) or (annotation, None)
                if (
                    keyword.default is keyword.empty
                    or kind not in parameters.VALUE_WORDS
                ):
                    raise RequestError(
                        f"{self.name}: its keyword {name} needs a default that is a"
                        " number, a word, or true or false"
                    )
                declared[name] = Parameter(name, kind, within, keyword.default)
        return declared

    @property
    def recorded_facts(self) -> dict[str, Value]:
        """Everything that the values depend on, as the cache and run.json keep it."""
        more = self.recorded(**self.parameters) if self.recorded else {}
        return self.parameter_facts | more

    @property
    def parameter_facts(self) -> dict[str, Value]:
        """The part of `recorded_facts` that is known without the files of a network."""
        facts = dict(self.parameters)
        if self.sample_rate and (read := self.read_map()):
            pairs = read.recorded_facts.items()
            of_source = ", ".join(f"{key}={value}" for key, value in pairs)
            facts["source"] = f"{read.name} {read.code_version}: {of_source}"
        return facts

    def difference(
        self,
        code_version: int | str,
        recorded: Mapping[str, object],
        now: Mapping[str, object],
    ) -> str:
        """What differs here from values that were stored, such as `version 1, here 2`:
        the code, or a fact that was `recorded` and is another one `now`; '' if nothing.
        """
        was = {"version": str(code_version), **recorded}
        here = {"version": str(self.code_version), **now}
        return difference(was, here)

    def read_map(self) -> "FeatureDefinition | None":
        """The feature whose map it reads; None for audio or an external feature."""
        feature_name = parse_feature_name(self.source) if self.source else None
        if feature_name is None or not FEATURES.knows(feature_name.name):
            return None
        return resolve_feature(feature_name, self.sample_rate)

    def compute(self, clip: Clip) -> np.ndarray:
        """(rows, frames) values, not yet rounded for storage; raises Impossible."""
        expected = self.shape(clip.sample_rate, len(clip.y))
        values = np.asarray(self.function(clip, **self.arguments))
        if values.shape != expected or values.dtype.kind not in "biuf":
            raise ValueError(
                f"{self.name} returned {values.dtype} of the shape {values.shape},"
                f" expected real numbers of the shape {expected}, from the decorator's"
                " rows= and frames=, or a parameter hop_length"
            )
        return values

    def stored_values(self, clip: Clip, dtype: str) -> np.ndarray:
        """The values in the type that a cache stores; ValueError if they do not fit."""
        values = self.compute(clip)
        if dtype == "float16":
            rounded = kernels.spectrum.to_float16(values)
            if rounded is not None:
                return rounded
        return to_stored(values, dtype)

    def shape(self, sample_rate: int, samples: int) -> tuple[int, int]:
        """(rows, frames) for clips of this rate and length; raises Impossible."""
        audio = sample_rate, samples
        if audio not in self.shapes:
            try:
                rows, frames = self.row_axis(sample_rate), self.frame_axis(*audio)
                self.shapes[audio] = len(rows), len(frames)
            except Impossible as reason:
                raise Impossible(f"{self.stored} cannot exist here: {reason}") from None
        return self.shapes[audio]

    def row_axis(self, sample_rate: int) -> np.ndarray:
        """(rows,) the row axis, in the feature's `row_unit`; raises Impossible."""
        rows = self.rows
        if callable(rows):
            rows = rows(sample_rate, **parameters.taken_by(rows, self.parameters))
        return np.arange(float(rows)) if isinstance(rows, int) else rows

    def frame_axis(self, sample_rate: int, samples: int) -> np.ndarray:
        """(frames,) the frame axis, in `frame_unit`; raises Impossible."""
        if self.frames is None:
            return np.zeros(1)
        taken = parameters.taken_by(self.frames, self.parameters)
        return self.frames(sample_rate, samples, **taken)


# order of modules in lists and tables; other modules follow
READING_ORDER = ["spectra", "pitch", "spectral_shape", "rhythm"]
_MODULES = [*READING_ORDER, *(module.name for module in pkgutil.iter_modules(__path__))]
FEATURES: Registry[FeatureDefinition] = Registry(
    "feature",
    others=[f"{__name__}.{name}" for name in dict.fromkeys(_MODULES)],
    # vectors of networks and of other maps, which need a parameter
    special={
        "embedding": "featurestack.embeddings.embedding",
        "imagenet": "featurestack.embeddings.maps",
        "texture": "featurestack.embeddings.maps",
    },
    extensible=True,
)


def feature(units: str, **described: Any) -> Callable[[Defined], Defined]:
    """Decorator: register a function (clip, **parameters) -> (rows, frames).

    Parameters
    ----------
    units : str
        Unit of the values. `AUGMENT=gain` changes them with the loudness by unit:
        "dB" and row 0 of "dB, cepstrum" rise, "amplitude" and "power" scale, others
        ("Hz", "dB/frame", ...) stay.
    rows : int, array or function
        Number of rows (1 by default), the row axis (rows,), or a function
        (sample_rate, *, parameters) that returns either. It names the parameters of
        the feature that it needs.
    row_unit : str
        Unit of the row axis.
    frames : function, optional
        (sample_rate, samples, *, parameters) -> (frames,), the frame axis; by default
        the seconds of frames `hop_length` samples apart, or of samples. None for a
        feature without frames, whose function returns (rows, 1).
    frame_unit : str
        Unit of the frame axis; frames are times if it is "s", the default.
    estimated : bool
        Whether the values follow an estimated tuning or tempo, so that a rounding error
        can change a whole clip.
    experiment : bool
        Whether FEATURES=all leaves the feature out, and `answer` does not rank it.
    version : int
        Raised when the feature's values change, so that caches compute it again.
    recorded : function
        (**parameters) -> more facts that the values depend on.

    Examples
    --------
    ::

        @fs.feature(units="")
        def crossings(clip, *, hop_length: int = 512):
            return librosa.feature.zero_crossing_rate(clip.y, hop_length=hop_length)
    """
    if callable(units):
        raise TypeError('fs.feature takes the unit of the values, as @fs.feature("dB")')
    for word in described:
        if word not in DESCRIBED:
            raise RequestError(nearest("argument of fs.feature", word, DESCRIBED))

    def entry(function: Function) -> FeatureDefinition:
        code = code_digest(function)
        feature = FeatureDefinition(
            function.__name__, function, units, code=code, **described
        )
        if code:
            refuse_positional(function)
            _ = feature.declared  # refuses a keyword without a default
        return feature

    return FEATURES.register(entry=entry)


def resolve_feature(
    feature_name: FeatureName, sample_rate: int = 0
) -> FeatureDefinition:
    """The feature that `feature_name` names, with its parameters at the clips' rate, or
    RequestError.
    """
    name = feature_name.name
    feature = FEATURES[name]
    declared = feature.declared
    values = {key: parameter.default for key, parameter in declared.items()}
    changed = dict[str, str | int | float]()
    for key, text in sorted(feature_name.parameters):
        if key == FRAME.name and declared.keys() & FRAMING - {key}:
            changed[key] = FRAME.read(text, name) or 0
            keys = {key for key, _ in feature_name.parameters}
            if others := sorted(FRAMING & keys - {FRAME.name}):
                raise RequestError(
                    f"{feature_name}: frame= decides {', '.join(others)}"
                )
            if not sample_rate:
                raise RequestError(f"{feature_name}: frame= needs a sample rate")
            samples = samples_of_frame(float(text), sample_rate)
            values |= {key: samples[key] for key in samples if key in declared}
            continue
        value = declared[key].read(text, name)
        if value != values[key]:
            values[key] = value
            changed[key] = "none" if value is None else value
    arguments = {}
    for key, group, fields in parameters.arguments(feature.function):
        of_group = {field: values[field] for field in fields}
        # a group of parameters refuses values that clash
        arguments[key] = group(**of_group) if group else values[key]
    return dataclasses.replace(
        feature,
        stored=FeatureName(name, tuple(changed.items())).stored,
        parameters=values,
        arguments=arguments,
        sample_rate=sample_rate,
        source=feature.source_of(**values) if feature.source_of else "",
        shapes={},
    )


def former_name(feature: FeatureDefinition, held: CachedFeature) -> str:
    """The name of the values in a feature's file if its parameters are other ones that
    have a name, such as `mel@hop_length=512` after a default has changed; else ''.
    """
    if held.code_version != feature.code_version:
        return ""
    changed = {
        key: "none" if value is None else value
        for key, value in held.parameters.items()
        if feature.parameters.get(key, value) != value
    }
    feature_name = FeatureName(feature.name, tuple(sorted(changed.items())))
    with suppress(RequestError):
        former = resolve_feature(feature_name, held.sample_rate)
        if former.recorded_facts == held.parameters and former.stored != held.stored:
            return former.stored
    return ""


def difference_here(stored: CachedFeature) -> str:
    """What differs here from a stored feature, as `Feature.difference`; '' also if it
    was brought, or nothing here computes it.
    """
    feature_name = parse_feature_name(stored.stored)
    if not stored.code_version or not FEATURES.knows(feature_name.name):
        return ""
    feature = resolve_feature(feature_name, stored.sample_rate)
    now = feature.parameter_facts
    if ": " not in str(stored.parameters.get("source")):  # of a map that was brought
        now.pop("source", None)
    was = {name: stored.parameters.get(name) for name in now}
    return feature.difference(stored.code_version, was, now)


def features_of_all() -> list[str]:
    """The features that `all` names: all but experiments."""
    return [n for n, each in FEATURES.complete().items() if not each.experiment]


def refuse_unknown(features: str, stored: Iterable[str] = ()) -> None:
    """RequestError for the first name in a list that is not a feature or variant."""
    for word in features.split():
        channels = () if word in ("all", "small") else parse_set(word)
        for feature_name in channels:
            if not FEATURES.knows(feature_name.name):
                cached = {parse_feature_name(name).name for name in stored}
                names = [*FEATURES.complete(), *FEATURES.special, *cached]
                text = nearest("feature", feature_name.name, [*names, "all", "small"])
                if cached:
                    listed = most_alike(feature_name.name, [*stored])
                    text = text.partition("Known: ")[0] + f"The cache has {listed}"
                raise RequestError(text)
            resolve_feature(feature_name, USUAL_RATE)


def stored_map(clip: Clip, stored: str) -> tuple[np.ndarray, str, float]:
    """The map of a feature as a cache stores it (see `Clip.keep_map`): the cached one,
    else one computed from audio.
    """
    if stored not in clip.maps:
        feature = resolve_feature(parse_feature_name(stored), clip.sample_rate)
        values = feature.compute(clip)
        axis = feature.frame_axis(clip.sample_rate, len(clip.y))
        clip.keep_map(stored, values, feature.units, axis, feature.frame_unit)
    return clip.maps[stored]


def compile_kernels() -> None:
    """Compile what all features call, once, by computing them of noise: numba's code
    depends on the processor and cannot be shipped.
    """
    noise = np.random.default_rng(0).normal(0, 0.1, USUAL_RATE).astype(np.float32)
    clip = Clip(noise, USUAL_RATE)
    for name in FEATURES.complete():
        resolve_feature(FeatureName(name)).stored_values(clip, "float16")
