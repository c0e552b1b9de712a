"""One of two processes that judge together, for test_exchange: index and port are its arguments."""

import json
import sys

import jax

index, port = map(int, sys.argv[1:])
jax.config.update("jax_platforms", "cpu")
jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=index)

from configs import rewards  # noqa: E402  # after JAX knows of the other process
from r1jax import config as configs  # noqa: E402
from r1jax.data.tasks.problems import Problem  # noqa: E402
from r1jax.io.processes import all_rows, own_rows  # noqa: E402
from r1jax.rewards.combine import Completion, RewardConfig, Rewarder  # noqa: E402

problem = Problem("p", "?", r"2\sqrt{5}", "", "", "maths", {})
texts = [rf"<think>ä</think>\boxed{{\sqrt{{{n}}}}}" for n in range(17, 24)]
rewarder = Rewarder(configs.build(RewardConfig, rewards.get_config().to_dict()), {})
rows = own_rows(len(texts))
scores = rewarder(
    [Completion(texts[b], False, problem, 9, False) for b in rows],
    first=rows.start,
    seed=0,
    cap=10,
)
rewarder.close()
print(json.dumps({"rows": list(rows), "scores": all_rows(scores)}))
