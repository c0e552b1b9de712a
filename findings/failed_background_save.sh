#!/usr/bin/env bash
# orbax-checkpoint 0.12.8: CheckpointManager.check_for_errors() does not report a save that failed in the background.
#
# A checkpoint larger than the largest file that the process may write fails while it is written, in a thread. Until
# then save() has returned. check_for_errors(), by its docstring the check for errors in completed saves, returns at any
# time after; wait_until_finished() raises. Who polls the first goes on training without a checkpoint.
#
# Seen on 2026-11-30 with Python 3.11.7, jax 0.10.2, orbax-checkpoint 0.12.8:
#   check_for_errors: no error, though no save is in progress
#   wait_until_finished: raises
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jax==0.10.2 orbax-checkpoint==0.12.8
"$folder/venv/bin/python" - "$folder/checkpoints" <<'PYTHON' 2> "$folder/log" || { tail -5 "$folder/log"; exit 1; }
import resource, signal, sys, time
import numpy as np
import orbax.checkpoint as ocp

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
manager = ocp.CheckpointManager(sys.argv[1], options=ocp.CheckpointManagerOptions(enable_async_checkpointing=True))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
noise = np.random.default_rng(0).random(1 << 20, np.float32)
manager.save(0, args=ocp.args.StandardSave({"w": noise}))
deadline = time.monotonic() + 60
while manager.is_saving_in_progress() and time.monotonic() < deadline:
    time.sleep(0.1)
assert not manager.is_saving_in_progress()
manager.check_for_errors()
print("check_for_errors: no error, though no save is in progress")
try:
    manager.wait_until_finished()
except Exception as error:
    print("wait_until_finished: raises", type(error).__name__)
else:
    sys.exit("wait_until_finished raised nothing")
PYTHON
