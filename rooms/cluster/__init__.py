"""Extraction on a Dask cluster; training by several processes or devices."""

from collections.abc import Sequence
from typing import Any

from featurestack.commandline.rooms import Room

ROOM = Room(extra="scale")


@ROOM.options("FeaturesCommand")
def load_options() -> Sequence[Any]:
    from featurestack.rooms.cluster.options import ClusterOptions

    return (ClusterOptions,)


@ROOM.capabilities("dask")
def load_dask() -> Sequence[Any]:
    from featurestack.rooms.cluster import dask_cluster

    return (dask_cluster,)


@ROOM.capabilities("torchrun")
def load_several_devices() -> Sequence[Any]:
    from featurestack.rooms.cluster import torchrun

    return (torchrun,)
