"""The settings that every recipe has; `modules` adds those of the modules that it names."""

import re
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipelines.recipe.noise import Decibels, Noise
from pipelines.recipe.settings_from_signature import Section

Pixels = Annotated[int, Field(ge=8, le=1024)]
Normalise = Literal["training", "none"]
NORMALISE = (
    "Scale of the input: training gives each channel of the training clips mean 0 and sd 1, "
    "none keeps it."
)
Beta = Annotated[float, Field(ge=0, lt=1)]


class DataInput(Section):
    """The data set and the choice of its clips."""

    dataset: str = Field(description="Name of a data set, as `avsnn ls datasets` lists it.")
    max_excluded_share: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="Share of the clips that may be unusable before prepare stops (in "
        "no key); null is the data set's own.",
    )


class AudioInput(Section):
    """The feature and the shape of the audio input."""

    feature: str = Field(description="Name of an audio feature, as `avsnn ls features` lists it.")
    sample_rate: int = Field(
        default=22050, ge=1000, le=192_000, description="Rate in Hz that clips are resampled to."
    )
    seconds: float = Field(
        default=4.0, gt=0, le=60, description="Length in s that clips are cut or padded to."
    )
    normalise: Normalise = Field(default="training", description=NORMALISE)

    @model_validator(mode="after")
    def _holds_a_sample(self) -> Self:
        if round(self.seconds * self.sample_rate) < 1:
            raise ValueError(f"seconds ({self.seconds:g}) hold no sample at {self.sample_rate} Hz")
        return self


class SpikeInput(Section):
    """The feature of an audio input that is a cochlea's spikes, which have no sampling rate."""

    feature: str = Field(description="Name of an audio feature, as `avsnn ls features` lists it.")
    normalise: Normalise = Field(default="training", description=NORMALISE)


class VisualInput(Section):
    """The feature and the shape of the visual input, images or events."""

    feature: str = Field(description="Name of a visual feature, as `avsnn ls features` lists it.")
    size: tuple[Pixels, Pixels] = Field(
        default=(128, 128), description="Height and width in pixels after resizing."
    )
    crop: Literal["none", "random", "resized", "resized-antialiased"] = Field(
        default="none",
        description="Crop of the training images: random is of fixed size, resized of "
        "random size and shape without antialiasing, resized-antialiased is "
        "torchvision's RandomResizedCrop.",
    )
    flip: bool = Field(default=False, description="Mirror half of the training images.")
    normalise: Literal["training", "none", "imagenet"] = Field(
        default="training",
        description=f"{NORMALISE[:-1]}, imagenet takes ImageNet's mean and sd (colour).",
    )


class ModelInput(Section):
    """The network and its preset."""

    name: str = Field(description="Name of a model, as `avsnn ls models` lists it.")
    preset: str = Field(
        default="paper",
        description="Name of a set of values that apply where the recipe writes none.",
    )


class Optimizer(Section):
    """The update rule of the weights and its learning rate."""

    name: Literal["adam", "adamw", "sgd"] = Field(
        default="adam", description="Update rule of the weights."
    )
    lr: float = Field(gt=0, le=10, description="Learning rate after warm-up.")
    weight_decay: float = Field(default=0.0, ge=0, description="Weight decay of the update rule.")
    betas: tuple[Beta, Beta] = Field(
        default=(0.9, 0.999),
        description="Decay rates of the running mean and square; sgd's momentum is the first.",
    )


class Schedule(Section):
    """The learning rate over the epochs."""

    name: Literal["constant", "cosine", "step"] = Field(
        default="constant", description="Shape of the learning rate after warm-up."
    )
    warmup_epochs: float = Field(
        default=0.0, ge=0, description="Length of the linear warm-up in epochs."
    )
    warmup_lr: float = Field(
        default=1e-6, ge=0, description="Learning rate that warm-up starts at."
    )
    final_lr: float = Field(default=0.0, ge=0, description="Learning rate that cosine ends at.")
    milestones: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="Epochs after which step multiplies the learning rate by gamma."
    )
    gamma: float = Field(
        default=0.1,
        gt=0,
        description="Factor that step multiplies the learning rate by at each milestone.",
    )

    @field_validator("milestones")
    @classmethod
    def _increasing(cls, milestones: tuple[int, ...]) -> tuple[int, ...]:
        if any(later <= earlier for earlier, later in pairwise(milestones)):
            raise ValueError("must increase")
        return milestones


class EventAugment(Section):
    """How recordings of events are varied before frames are made of them; 0 leaves a kind out."""

    drop: float = Field(
        default=0.0, ge=0, le=1, description="Share of the events of a recording that are lost."
    )
    rate: float = Field(
        default=0.0,
        ge=0,
        le=1e6,
        description="Rate of the noise events that are added, in Hz per pixel.",
    )
    time_jitter_us: float = Field(
        default=0.0,
        ge=0,
        le=1e9,
        description="Standard deviation in µs of the normal numbers that events move by in time.",
    )
    space_jitter_px: float = Field(
        default=0.0,
        ge=0,
        le=1024,
        description="Standard deviation in pixels of the normal numbers that events move by.",
    )
    refractory_us: int = Field(
        default=0,
        ge=0,
        le=10**9,
        description="Time in µs after an event in which further events of its pixel are dropped.",
    )
    hot_pixels: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the pixels that fire at hot_rate whatever is seen.",
    )
    hot_rate: float = Field(
        default=100.0, ge=0, le=1e6, description="Rate in Hz that a hot pixel fires at."
    )

    def varies(self) -> bool:
        """Return whether any kind is in use; without hot pixels their rate changes nothing."""
        kinds = (self.drop, self.rate, self.time_jitter_us, self.space_jitter_px)
        return any((*kinds, self.refractory_us, self.hot_pixels))


class Augment(Section):
    """Random variation of the training clips, never of those in evaluation."""

    time_shift: float = Field(
        default=0.0, ge=0, le=0.5, description="Largest shift in time, as a share of the clip."
    )
    noise_snr_db: tuple[Decibels, Decibels] | None = Field(
        default=None,
        description="Range in dB that the ratio of white noise is drawn from; null is no noise.",
    )
    noise_probability: float = Field(
        default=0.5, ge=0, le=1, description="Share of the training clips that get that noise."
    )
    events: EventAugment = Field(
        default=EventAugment(),
        description="Variation of raw recordings, for inputs that are made of events.",
    )

    @field_validator("noise_snr_db")
    @classmethod
    def _ordered(cls, snr_db: tuple[float, float] | None) -> tuple[float, float] | None:
        if snr_db is not None and snr_db[0] > snr_db[1]:
            raise ValueError("must go from low to high")
        return snr_db


class Train(Section):
    """The training of the network."""

    epochs: int = Field(ge=1, le=100_000, description="Number of passes over the training clips.")
    batch_size: int = Field(ge=1, le=65_536, description="Number of clips in one training step.")
    optimizer: Optimizer = Field(description="Update rule of the weights and its learning rate.")
    schedule: Schedule = Field(
        default=Schedule(), description="How the learning rate changes over the epochs."
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the target that is spread over all classes."
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Largest norm of the gradient, above which it is scaled down; null "
        "is no limit.",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="fp32",
        description="Number format of the forward pass; auto is bfloat16 where it is "
        "fast, so that figures depend on the processor.",
    )
    memory_format: Literal["auto", "channels_last", "contiguous"] = Field(
        default="auto", description="Layout of images in memory; auto is channels_last."
    )
    data_on_device: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Keep the split in device memory; auto does where it takes less "
        "than 40 % of what is free.",
    )
    select: Literal["best-validation", "lowest-loss", "last"] = Field(
        default="best-validation",
        description="Epoch that is evaluated: best-validation by accuracy on the "
        "validation clips, lowest-loss by the loss there (azimuths too), or "
        "the last.",
    )
    augment: Augment = Field(
        default=Augment(), description="Variation of the training clips, never of the others."
    )
    deterministic: bool = Field(
        default=True, description="Use only algorithms that give the same bits every time."
    )
    # a run's name is a folder under runs: no separator, no leading dot that would lead out of it
    start_from: tuple[Annotated[str, Field(pattern=r"^[^./\\][^/\\]*$")], ...] = Field(
        default=(),
        description="Trained runs, by their whole names, whose weights this training begins with.",
    )
    freeze: tuple[Annotated[str, Field(pattern=r"^\w[\w.]*$")], ...] = Field(
        default=(), description="Parts of the network that keep their weights, such as audio."
    )

    # between two fields, so the message names both: it stands at the section
    @model_validator(mode="after")
    def _warm_up_ends(self) -> Self:
        warmup = self.schedule.warmup_epochs
        if warmup > self.epochs:
            raise ValueError(f"schedule.warmup_epochs ({warmup:g}) is over epochs ({self.epochs})")
        return self


class Runtime(Section):
    """Device, threads and processes; in no key, because they must not change a result."""

    num_workers: Annotated[int, Field(ge=0, le=256)] | None = Field(
        default=None,
        description="Number of threads that decode and of processes that load; null is "
        "one thread for each core and no process.",
    )
    device: str = Field(
        default="auto", description="Device to compute on: auto, cpu, cuda or cuda:N."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="Number of CPU threads of torch; null is its own choice."
    )

    @field_validator("device")
    @classmethod
    def _known(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", device):
            raise ValueError("must be auto, cpu, cuda or cuda:N")
        return device


class Published(Section):
    """A paper's result for this recipe; compared with, never trained on."""

    accuracy_percent: float = Field(ge=0, le=100, description="Test accuracy in the paper in %.")
    n: int | None = Field(
        default=None, ge=1, description="Number of test clips in the paper; null is not known."
    )
    protocol: str = Field(description="How the paper split and selected, in a few words.")
    source: str = Field(description="Paper and table that the figure is from.")


class RecipeFile(Section):
    """A whole recipe; the modules that it names add settings to data, audio, visual and model."""

    version: Literal[1] = Field(description="Version of the recipe format.")
    seed: int = Field(ge=0, lt=2**31, description="Seed of weights, order and augmentation.")
    data: DataInput = Field(description="Data set, protocol and what else chooses the clips.")
    audio: AudioInput | None = Field(
        default=None,
        description="Feature and shape of the audio input; without it the network has none.",
    )
    visual: VisualInput | None = Field(
        default=None,
        description="Feature and shape of the visual input; without it the network has none.",
    )
    model: ModelInput = Field(description="Network, preset and its own settings.")
    train: Train = Field(description="How the network is trained.")
    noise: Noise = Field(
        default=Noise(), description="Noise that is put on the test clips in the noise sweep."
    )
    published: Published | None = Field(
        default=None, description="Figure of a paper that is compared with, never trained on."
    )
    runtime: Runtime = Field(
        default=Runtime(),
        description="Device, threads and processes; in no key, for they must not change a result.",
    )
