"""Checkpoints that a run can be taken up from, bit for bit, or that say what is wrong with them."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from r1jax.config import UserError
from r1jax.io.digests import canonical, check_digest, differences, digest, seal, structure, unseal
from r1jax.io.disk import DAMAGE, read_failures, write_failures
from r1jax.io.retention import NewestAndBest
from r1jax.types import Tree

FORMAT = 1
UNFINISHED = ".orbax-checkpoint-tmp"
# Keys of the flat config that may differ between a run and its resumption: they change no number.
FREE_KEYS = frozenset(
    {
        "workdir",
        "checkpoint.every_updates",
        "checkpoint.keep_last",
        "checkpoint.keep_best",
        "checkpoint.allow_config_change",
    }
)


class Restored(NamedTuple):
    """What a checkpoint held.

    Attributes:
      step: number under which it was saved.
      state: tree like the template, on the template's devices.
      extra: host arrays by name.
      meta: the caller's own JSON.
    """

    step: int
    state: Tree
    extra: dict[str, np.ndarray]
    meta: dict[str, Any]


def _without_empty(tree: Tree) -> Tree:
    """Returns the tree with None for arrays of no elements, which orbax refuses to store."""
    return jax.tree.map(lambda leaf: leaf if leaf.size else None, tree)


def _empty(leaf: Any) -> jax.Array:
    return jax.device_put(np.zeros(leaf.shape, leaf.dtype), leaf.sharding)


class Checkpointer:
    """Saves in the background; restores the newest checkpoint that is whole.

    Restoring changes nothing on disk, so it is safe beside a run that writes. The first save clears
    what restoring fell back from: unfinished directories are deleted, damaged checkpoints moved to
    `damaged_STEP`. Several processes all make the same calls, on one shared directory.
    """

    def __init__(
        self,
        *,
        directory: str | Path,
        keep_last: int,
        keep_best: int,
        config: Mapping[str, Any],
        allow_config_change: bool,
        warn: Callable[[str], None],
    ):
        """Opens, and creates if missing, a directory of checkpoints.

        Args:
          directory: holds one directory per step.
          keep_last: newest checkpoints kept, at least 1.
          keep_best: checkpoints of the highest score kept beside them.
          config: the run's flat config; saved with each checkpoint and compared on restoring.
          allow_config_change: warn about a differing config instead of refusing it.
          warn: told, in one line, what is wrong with which checkpoint.

        Raises:
          UserError: if keep_last < 1 or keep_best < 0.
        """
        if keep_last < 1 or keep_best < 0:
            raise UserError(f"keep_last {keep_last} must be >= 1 and keep_best {keep_best} >= 0")
        self._directory = Path(directory).absolute()
        self._config = json.loads(canonical(dict(config)))
        self._allow_config_change, self._warn = allow_config_change, warn
        self._scores: dict[int, float | None] = {}
        self._damaged: set[int] = set()
        self._cleared = False
        policy = NewestAndBest(keep_last, keep_best, self._scores)
        # Lightweight: a damaged file must not stop us before we can name it.
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy, lightweight_initialize=True
        )
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def _steps(self) -> list[int]:
        """Returns the finished checkpoints not known to be damaged, newest first."""
        return sorted(set(self._manager.all_steps()) - self._damaged, reverse=True)

    def _unfinished(self) -> list[Path]:
        """Returns what saves that never ended left behind."""
        return sorted(p for p in self._directory.iterdir() if UNFINISHED in p.name)

    def latest_step(self) -> int | None:
        """Returns the step of the newest checkpoint not found damaged, one being saved included."""
        return max(self._steps(), default=None)

    def save(
        self,
        step: int,
        state: Tree,
        extra: Mapping[str, np.ndarray],
        meta: Mapping[str, Any],
        score: float | None,
    ) -> None:
        """Copies all to the host and writes it in the background; waits for an earlier save first.

        Args:
          step: number of the checkpoint, above that of all others.
          state: tree of jax arrays; it may be donated or deleted once this returns.
          extra: host arrays, restored without a template.
          meta: what JSON gives back unchanged.
          score: higher is better; None is no candidate for the best.

        Raises:
          UserError: if the step is not above the newest, the score not finite, or JSON would not
            give back `meta`.
        """
        if not self._cleared:
            self._clear()
        newest = self.latest_step()
        if newest is not None and step <= newest:
            raise UserError(f"{self._directory}: cannot save step {step} after step {newest}")
        if score is not None and not np.isfinite(score):
            raise UserError(
                f"{self._directory}/{step}: score {score} is not finite; None means no score"
            )
        if json.loads(canonical(meta)) != meta:
            raise UserError(f"{self._directory}/{step}: JSON would not give back meta {meta!r}")
        extra = {name: np.asarray(array) for name, array in extra.items()}
        document = {
            "format": FORMAT,
            "config": self._config,
            "meta": meta,
            "score": score,
            "state": {"sha256": digest(state), "leaves": structure(state)},
            "extra": {
                "sha256": digest(extra),
                "arrays": {k: [str(a.dtype), list(a.shape)] for k, a in extra.items()},
            },
        }
        items = {
            "state": ocp.args.PyTreeSave(_without_empty(state)),
            "document": ocp.args.JsonSave(seal(document)),
        }
        if stored := {k: a for k, a in extra.items() if a.size}:
            items["extra"] = ocp.args.PyTreeSave(stored)
        self._scores[step] = score
        with write_failures(self._directory):
            self._manager.save(step, args=ocp.args.Composite(**items), force=True)

    def restore(self, like: Tree) -> Restored | None:
        """Returns the newest checkpoint that is whole, or None if none was ever finished.

        Args:
          like: arrays or ShapeDtypeStructs with shardings, in the tree that was saved.

        Raises:
          UserError: if the config differs and may not, or the checkpoint is of another format or
            holds another tree than `like`. That is no damage: an older one would not mend it.
          UserError: if there are checkpoints and all are damaged.
        """
        self.wait()
        for path in self._unfinished():
            self._warn(f"{path}: unfinished save, ignored; the next save deletes it")
        self._damaged.clear()
        broken = []
        for step in self._steps():
            try:
                document = self._document(step)
            except DAMAGE as error:
                broken.append(self._tell_damage(step, error))
                continue
            change = self._check_document(step, document, like)
            try:
                with read_failures():
                    state, extra = self._state(step, like, document), self._extra(step, document)
            except DAMAGE as error:
                broken.append(self._tell_damage(step, error))
                continue
            if change:
                self._warn(change)
            if broken:
                self._warn(f"{self._directory}/{step}: used instead")
            return Restored(step, state, extra, document["meta"])
        if broken:
            raise UserError(
                f"{self._directory}: every checkpoint is damaged; repair one, or remove them all to"
                " start anew:\n  " + "\n  ".join(broken)
            )
        return None

    def wait(self) -> None:
        """Blocks until the save under way is on disk; raises what it failed with."""
        with write_failures(self._directory):
            self._manager.wait_until_finished()

    def check(self) -> None:
        """Raises what a save in the background has failed with, without waiting for it."""
        if not self._manager.is_saving_in_progress():  # its check_for_errors tells nothing
            self.wait()

    def close(self) -> None:
        """Waits, then stops the background threads."""
        with write_failures(self._directory):
            self._manager.close()

    def _tell_damage(self, step: int, error: BaseException) -> str:
        self._damaged.add(step)
        cause = " ".join(str(error).split())[:300]
        line = f"{self._directory}/{step}: damaged ({type(error).__name__}: {cause})"
        self._warn(f"{line}; ignored, the next save moves it aside")
        return line

    def _check_document(self, step: int, document: Mapping[str, Any], like: Tree) -> str:
        """Raises if the checkpoint is not for this run; returns what to warn of, or ""."""
        where = f"{self._directory}/{step}"
        if document["format"] != FORMAT:
            raise UserError(f"{where}: format {document['format']}, this code reads {FORMAT}")
        was, now = (
            {k: v for k, v in config.items() if k not in FREE_KEYS}
            for config in (document["config"], self._config)
        )
        if "updates" in was and was["updates"] <= now.get("updates", 0):
            was["updates"] = now["updates"]  # a longer run goes on as it began
        change = "\n  ".join([f"{where}: the config has changed:", *differences(was, now)])
        if was != now and not self._allow_config_change:
            raise UserError(f"{change}\nset checkpoint.allow_config_change to resume all the same")
        if trees := differences(document["state"]["leaves"], structure(like)):
            raise UserError("\n  ".join([f"{where}: holds another tree:", *trees]))
        return change if was != now else ""

    def _document(self, step: int) -> dict[str, Any]:
        args = ocp.args.Composite(document=ocp.args.JsonRestore())
        return unseal(self._manager.restore(step, args=args)["document"])

    def _state(self, step: int, like: Tree, document: Mapping[str, Any]) -> Tree:
        stored = _without_empty(like)
        where = jax.tree.map(
            lambda leaf: ocp.ArrayRestoreArgs(sharding=leaf.sharding, global_shape=leaf.shape),
            stored,
        )
        args = ocp.args.Composite(state=ocp.args.PyTreeRestore(stored, restore_args=where))
        filled = self._manager.restore(step, args=args)["state"]
        state = jax.tree.map(lambda leaf, got: _empty(leaf) if got is None else got, like, filled)
        check_digest("state", state, document["state"]["sha256"])
        return state

    def _extra(self, step: int, document: Mapping[str, Any]) -> dict[str, np.ndarray]:
        shapes: dict[str, Any] = document["extra"]["arrays"]
        arrays = {name: np.zeros(shape, dtype) for name, (dtype, shape) in shapes.items()}
        if any(a.size for a in arrays.values()):
            args = ocp.args.Composite(extra=ocp.args.PyTreeRestore())
            arrays.update(self._manager.restore(step, args=args)["extra"])
        check_digest("extra", arrays, document["extra"]["sha256"])
        return arrays

    def _load_scores(self) -> None:
        for step in self._steps():
            try:
                self._scores[step] = self._document(step)["score"]
            except DAMAGE as error:
                self._tell_damage(step, error)

    def _clear(self) -> None:
        """Gets what restoring passed over out of the way of its step number."""
        self._load_scores()
        if jax.process_index() == 0:
            for path in self._unfinished():
                shutil.rmtree(path)
                self._warn(f"{path}: unfinished save, deleted")
            for step in sorted(self._damaged):
                source, target = self._directory / str(step), self._directory / f"damaged_{step}"
                if target.exists():
                    shutil.rmtree(target)
                source.rename(target)
                self._warn(f"{source}: damaged, moved aside to {target.name}")
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("r1jax.io.checkpoints.clear")
        self._damaged.clear()
        self._manager.reload()
        self._cleared = True
