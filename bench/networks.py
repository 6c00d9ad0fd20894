"""Speed of pretrained networks as features, on one core: `python -m bench.networks`.

Each installed network embeds clips of noise. Seconds of sound are divided by seconds of
processor time, of this process and of the network's, so that a busy machine changes
little.
"""

import time

import numpy as np
import psutil

from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.rooms.embeddings.embedding import Network, open_network
from featurestack.rooms.embeddings.networks import installed_networks


class NetworksBenchOptions(Options):
    """Speed of pretrained networks as features, on one core."""

    clips: int = option(50, "number of clips", least=1)
    seconds: float = option(5.0, "seconds of a clip", least=0.1, most=600)


def processor_seconds(network: Network) -> float:
    """Processor time so far of this process and the network's."""
    total = time.process_time()
    for part in filter(None, [network.network, network.front_end]):
        used = psutil.Process(part.process.pid).cpu_times()
        total += used.user + used.system
    return total


def networks(options: NetworksBenchOptions) -> None:
    """Speed of pretrained networks as features, on one core."""
    rng = np.random.default_rng(0)
    rows = []
    for name in installed_networks():
        network = open_network(name)
        samples = round(options.seconds * network.card.sample_rate)
        y = rng.normal(0, 0.1, samples).astype(np.float32)
        network.embed(y)  # the first also prepares
        begun = processor_seconds(network)
        for _ in range(options.clips):
            network.embed(y)
        took = (processor_seconds(network) - begun) / options.clips
        milliseconds = f"{1000 * took:.1f}"
        rows.append((name, milliseconds, f"{options.seconds / took:.0f}"))
    print(text_table(rows, ("network", "ms a clip", "times real time")))


if __name__ == "__main__":
    main([networks])
