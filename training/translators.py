"""Trained image translators: the generators of a run of method madan, opened for those who only use them."""

from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import CheckpointError, ConfigurationError
from isthmus.training.checkpoint import (
    CheckpointInfo,
    check_files,
    load_network,
    read_info,
    read_weights,
    resolve,
    weights_file,
)
from isthmus.training.config import TrainingConfig
from isthmus.training.generators import ResnetGenerator
from isthmus.training.madan.config import MadanConfig
from isthmus.training.madan.stages import learning_steps
from isthmus.training.trained import run_config


@dataclass(frozen=True, slots=True)
class Translators:
    """The generators from each source of a run to its target."""

    folder: Path
    """The checkpoint's."""
    info: CheckpointInfo
    """What it says about itself."""
    run: TrainingConfig
    """The run's configuration."""
    method: MadanConfig
    """Its method."""

    @property
    def begun(self) -> bool:
        """Whether the generators have learnt anything, in this run or in the one that it began with."""
        if (
            self.method.stages.generators_rest
            or self.info.step > learning_steps(self.method, self.run.loop.steps).warm_up
        ):
            return True
        # Every generator begins with biases of 0, and a first step moves the head's: these came trained.
        domains = range(self.method.num_domains(len(self.run.sources)))
        return all(bool(read_weights(self.folder, _network(one))["head.bias"].any()) for one in domains)

    def check_begun(self) -> None:
        """Refuse generators that have learnt nothing.

        Raises:
            CheckpointError: See `begun`.
        """
        if not self.begun:
            raise CheckpointError(
                f"at step {self.info.step} its generators are untrained",
                where=self.folder,
                remedy="Name a later checkpoint of the run, checkpoints/step-*, or another run that trains them.",
            )

    def weights(self, source: int) -> Path:
        """File of a source's generator.

        Args:
            source: Index of the source in the run's configuration.

        Raises:
            ConfigurationError: No such source.
        """
        if not 0 <= source < len(self.run.sources):
            raise ConfigurationError(
                f"the run has no source {source}",
                where=self.folder,
                remedy=f"Choose from 0 to {len(self.run.sources) - 1}.",
            )
        return weights_file(self.folder, _network(self.method.domain_of(source)))

    def load(self, source: int) -> ResnetGenerator:
        """A source's generator, in eval mode on the CPU.

        Args:
            source: Index of the source in the run's configuration.

        Raises:
            CheckpointError: Its weights are missing or another network's.
        """
        generator = ResnetGenerator(self.method.generator)
        load_network(generator, self.folder, _network(self.method.domain_of(source)))
        return generator.eval()


def open_translators(checkpoint: Path) -> Translators:
    """Open a checkpoint of a MADAN run and compare its files with their digests.

    Args:
        checkpoint: A run's output folder (its best checkpoint, else its newest) or one checkpoint's folder.

    Raises:
        CheckpointError: There is no whole checkpoint of a MADAN run.
    """
    folder = resolve(checkpoint)
    check_files(folder)
    info = read_info(folder)
    run = run_config(info)
    if not isinstance(run.method, MadanConfig):
        raise CheckpointError(
            f"method {run.method.name} has no generators", where=folder, remedy="Name a run of method madan."
        )
    if not run.method.weights.has_pixel_level:
        raise CheckpointError(
            "this run adapts features alone and has no generators",
            where=folder,
            remedy="Name a run of method madan with method.weights.gan or method.weights.cycle above 0.",
        )
    return Translators(folder, info, run, run.method)


def holds_generators(folder: Path) -> bool:
    """Whether a checkpoint's folder has generators, trained or not."""
    return weights_file(folder, _network(0)).is_file()


def _network(source: int) -> str:
    return f"generator_to_target_{source}"
