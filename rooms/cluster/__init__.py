"""Extraction on a Dask cluster; training by several processes or devices."""

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room(extra="scale")


@ROOM.options("FeaturesCommand")
def load_options() -> Loaded:
    from featurestack.rooms.cluster.options import ClusterOptions

    return (ClusterOptions,)


@ROOM.capabilities("dask")
def load_dask() -> Loaded:
    from featurestack.rooms.cluster import dask_cluster

    return (dask_cluster,)


@ROOM.capabilities("torchrun")
def load_several_devices() -> Loaded:
    from featurestack.rooms.cluster import torchrun

    return (torchrun,)
