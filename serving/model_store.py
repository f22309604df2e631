"""Where the served model comes from: the registry's champion, this machine's cache, or a plain file.

Of a version only `model.onnx`, `manifest.json` and the gate's signed report are fetched (their addresses stand at the
top of `training/registry.py`). A model serves only after its size and SHA-256, its verdict, its contract and label
space, and its labels on the golden frame have been checked. If the registry does not answer when the server starts, or
its champion is refused, the last good model serves, and says so.
"""

import dataclasses
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from isthmus.artifact import sha256_of
from isthmus.errors import ContractError, ModelRefusedError, NoModelError, RegistryError
from isthmus.registry_address import check_address
from isthmus.serving.config import ServerConfig
from isthmus.serving.model import FILE_VERSION, LoadedModel, load_model
from isthmus.serving.model_cache import Avoided, Champion, Known, ModelCache
from isthmus.serving.registry import Registry, check_size
from isthmus.serving.swap.verdicts import Evidence, Standing, VerdictPolicy, evidence_from
from isthmus.verdict import TAG, VerdictTag, gate_fact

logger = logging.getLogger(__name__)

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
_ONNX: Final = "model.onnx"
_MAX_REPORT_BYTES: Final = 4 << 20
_MAX_SIGNATURE_BYTES: Final = 1024
_REFUSED: Final = (RegistryError, ContractError, ModelRefusedError)


class ModelStore:
    """Finds, checks and opens models. All methods block: call them off the event loop, one at a time.

    Args:
        config: The server's configuration.

    Raises:
        ConfigurationError: A public key cannot be read.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._cache = ModelCache(config.cache_dir)
        self._policy = VerdictPolicy(config.swap)
        self._fetched: dict[str, Champion] = {}

    def prepare(self) -> None:
        """See what no waiting can mend; make the cache, where one is needed, and say whose verdicts count.

        Raises:
            ConfigurationError: The registry's address is none; see also `ModelCache.prepare`.
            ContractError: There is no model file at the path.
        """
        if self._config.model_file is not None:
            self._check_file(self._config.model_file)
            return
        check_address(self._registry.uri)
        self._cache.prepare()
        self._policy.announce()

    def load(self, prove: Callable[[LoadedModel], LoadedModel] = lambda model: model) -> LoadedModel:
        """The model that this server shall begin with.

        Args:
            prove: Tries a model out, and gives it with what it has learnt; a `ContractError` of it refuses the model
                before it is remembered as good. See `swap.checks.warm_up`.

        Raises:
            NoModelError: The registry has no champion of that name.
            RegistryError: The registry does not answer and the cache holds no good model.
            ContractError: The model is not what its manifest or the contract says, and neither is a cached one there.
            ModelRefusedError: The champion may not serve here, and no cached one is there.
            ProviderError: The provider policy cannot be satisfied.
        """
        if self._config.model_file is not None:
            return _proven(self._load_file(self._config.model_file), prove)
        try:
            return self._load_champion(prove)
        except _REFUSED as error:
            cause = error
        return self._load_last_good(cause, prove)

    def look(self) -> dict[str, str]:
        """Version by alias, as the registry has it now; one cheap call.

        Raises:
            RegistryError: It does not answer.
        """
        return self._registry.aliases()

    def avoided(self) -> Avoided | None:
        """The version that a server with this cache went back from last."""
        known = self._known()
        return None if known is None else known.avoided

    def verdict_named(self, version: str) -> str:
        """The version's tag of its verdict for `champion`, empty without one: whether asking again may help.

        Raises:
            RegistryError: The registry does not answer.
        """
        return self._registry.tags(version).get(TAG + gate_fact(CHAMPION), "")

    def fetch(self, version: str, alias: str = CHAMPION, *, num_threads: int | None = None) -> LoadedModel:
        """Download a version, unless its file is in the cache, check it and open it.

        Args:
            version: Its number.
            alias: That it holds; `champion` must have a verdict, where this server trusts anybody to give them.
            num_threads: Of its engine, instead of the configured number.

        Raises:
            ContractError: It is not what its manifest, its verdict or the contract says.
            EngineLostError: The execution provider failed on the golden frame.
            ModelRefusedError: It has no verdict.
            ProviderError: The provider policy cannot be satisfied.
            RegistryError: The registry does not answer.
        """
        with self._cache.scratch() as scratch:
            found = self._describe(version, alias, Path(scratch))
            standing = self._standing(found) if alias == CHAMPION else Standing.UNCHECKED
            path = self._cache.find(found.manifest) or self._download(found, Path(scratch))
        model = self._open(path, found, standing, num_threads=num_threads)
        if alias == CHAMPION or version not in self._fetched:  # a challenger comes without the verdict known here
            self._fetched[version] = found
        return model

    def confirm(self, model: LoadedModel) -> LoadedModel:
        """A model from the cache as one of the registry's, if the registry has the same one.

        Raises:
            ContractError: It has another one, or its verdict does not count.
            ModelRefusedError: It has no verdict.
            RegistryError: It does not answer.
        """
        with self._cache.scratch() as scratch:
            found = self._describe(model.version, CHAMPION, Path(scratch))
        if found.manifest.sha256 != model.sha256:
            raise ContractError(
                f"the registry's model.onnx is {found.manifest.sha256}, the one from the cache {model.sha256}",
                where=self._registry.where(model.version),
                remedy="Find out who replaced it; a new model is a new version.",
            )
        return dataclasses.replace(model, from_cache=False, standing=self._standing(found))

    def remember(self, model: LoadedModel, *, keep: Collection[str] = (), avoided: Avoided | None = None) -> None:
        """Note that `model` is good: it serves again when the registry is away. Old files are deleted.

        Args:
            model: That `fetch` or `load` gave.
            keep: SHA-256 of further models whose files stay.
            avoided: The version that the server went back from, to `model`.
        """
        found = self._fetched.get(model.version)
        if found is None:
            return  # a plain file
        self._cache.remember(self._registry.name, self._registry.uri, found, avoided)
        self._cache.prune({model.sha256, *keep})
        self._fetched = {
            version: champion
            for version, champion in self._fetched.items()
            if champion.manifest.sha256 in {model.sha256, *keep}
        }

    def say(self, version: str, state: str) -> None:
        """Tag a version with what became of it here; a registry that does not take it is logged, no more."""
        try:
            self._registry.set_state(version, state)
        except RegistryError as error:
            logger.warning("could not tag version %s as %r: %s", version, state, error)

    def check_label_space(self, model: LoadedModel, before: str) -> None:
        """Refuse masks that would mean something else than those before.

        Args:
            model: That is to serve.
            before: Hash of the label space until now.

        Raises:
            ModelRefusedError: They would, and the configuration does not allow it.
        """
        after = model.card.label_space.id_hash
        if after != before and not self._config.swap.allow_label_space_change:
            raise ModelRefusedError(
                f"its label space is {after}, and masks until now were of {before}",
                where=self._registry.where(model.version),
                remedy="If every client reads the new one, start the server with --allow-label-space-change.",
            )

    @property
    def _registry(self) -> Registry:
        name, uri = self._config.model_name, self._config.tracking_uri
        assert name is not None
        assert uri is not None
        return Registry(uri, name)

    def _check_file(self, path: Path) -> None:
        if path.is_dir():
            raise ContractError("is a folder", where=path, remedy=f"Name the file in it: {path / 'model.onnx'}.")
        if not path.is_file():
            raise ContractError("no such model file", where=path, remedy="Make one with `isthmus export`.")
        check_size(path.stat().st_size, self._config.limits.max_model_bytes, path)

    def _load_file(self, path: Path) -> LoadedModel:
        self._check_file(path)
        return load_model(path, self._config, name=None, version=FILE_VERSION, sha256=sha256_of(path))

    def _load_champion(self, prove: Callable[[LoadedModel], LoadedModel]) -> LoadedModel:
        registry = self._registry
        aliases = registry.aliases()
        version = aliases.get(CHAMPION)
        if version is None:
            there = registry.models()
            if registry.name not in there:
                raise NoModelError(
                    f"there is no model {registry.name!r}; {_listed(there)}",
                    remedy="Check --model, or register and promote one; this server will see it.",
                )
            raise NoModelError(
                f"no version of {registry.name!r} has the alias {CHAMPION!r}; "
                + _listed([f"{alias} ({aliases[alias]})" for alias in sorted(aliases)]),
                remedy="Promote one with `isthmus promote`; this server will see it.",
            )
        known = self._known()
        if known is not None and known.avoided is not None and known.avoided.version == version:
            raise ModelRefusedError(
                f"was rolled back before this start ({known.avoided.reason})",
                where=registry.where(version),
                remedy="Promote another version.",
            )
        model = self.fetch(version)
        try:
            if known is not None:
                self.check_label_space(model, known.champion.manifest.label_space_hash)
            proven = prove(model)
            self.remember(proven)
        except BaseException:
            model.engine.close()
            raise
        return proven

    def _load_last_good(
        self, cause: RegistryError | ContractError | ModelRefusedError, prove: Callable[[LoadedModel], LoadedModel]
    ) -> LoadedModel:
        registry = self._registry
        known = self._cache.recall(registry.name, registry.uri)
        path = None if known is None else self._cache.find(known.champion.manifest)
        if known is None or path is None:
            raise cause
        champion = known.champion
        try:
            model = _proven(self._open(path, champion, self._standing(champion), from_cache=True), prove)
        except (ContractError, ModelRefusedError) as error:
            raise error from cause
        self._fetched[champion.version] = champion
        logger.error(
            "SERVING FROM THE CACHE: version %s of %s, the last that was good, because of: %s",
            champion.version,
            registry.name,
            cause,
        )
        return model

    def _known(self) -> Known | None:
        """What the cache knows; a broken record only counts where there is nothing else to serve."""
        try:
            return self._cache.recall(self._registry.name, self._registry.uri)
        except ContractError as error:
            logger.warning("%s", error)
            return None

    def _describe(self, version: str, alias: str, scratch: Path) -> Champion:
        manifest = self._registry.manifest(version, scratch)
        asked = alias == CHAMPION and self._policy.asks
        return Champion(version, manifest, self._verdict(version, alias, scratch) if asked else None)

    def _verdict(self, version: str, alias: str, scratch: Path) -> Evidence | None:
        registry = self._registry
        text = registry.tags(version).get(TAG + gate_fact(alias))
        if text is None:
            return None
        report, signature = VerdictTag.parse(text, where=registry.where(version)).files
        return evidence_from(
            text,
            registry.download(version, report, scratch, _MAX_REPORT_BYTES),
            registry.download(version, signature, scratch, _MAX_SIGNATURE_BYTES),
        )

    def _standing(self, found: Champion) -> Standing:
        return self._policy.check(
            found.verdict,
            name=self._registry.name,
            version=found.version,
            alias=CHAMPION,
            sha256=found.manifest.sha256,
        )

    def _download(self, found: Champion, scratch: Path) -> Path:
        manifest, registry = found.manifest, self._registry
        where = f"{registry.where(found.version)}/{_ONNX}"
        check_size(manifest.size_bytes, self._config.limits.max_model_bytes, where)
        path = registry.download(found.version, _ONNX, scratch, manifest.size_bytes)
        return self._cache.put(path, manifest, where=where)

    def _open(
        self,
        path: Path,
        found: Champion,
        standing: Standing,
        *,
        from_cache: bool = False,
        num_threads: int | None = None,
    ) -> LoadedModel:
        config, manifest = self._config, found.manifest
        if num_threads is not None:
            config = dataclasses.replace(config, num_threads=num_threads)
        model = load_model(
            path,
            config,
            name=self._registry.name,
            version=found.version,
            sha256=manifest.sha256,
            from_cache=from_cache,
        )
        if model.card.label_space.id_hash != manifest.label_space_hash:
            model.engine.close()
            raise ContractError(
                f"label space {model.card.label_space.id_hash} is not the manifest's {manifest.label_space_hash}",
                where=path,
                remedy="Register the model again.",
            )
        return dataclasses.replace(model, standing=standing)


def _listed(names: Sequence[str]) -> str:
    """What there is instead.

    >>> _listed([]), _listed(["street"]), _listed(["a", "b"])
    ('there is none', 'there is: street', 'there are: a, b')
    """
    if not names:
        return "there is none"
    return f"there {'is' if len(names) == 1 else 'are'}: {', '.join(names)}"


def _proven(model: LoadedModel, prove: Callable[[LoadedModel], LoadedModel]) -> LoadedModel:
    try:
        return prove(model)
    except BaseException:
        model.engine.close()
        raise
