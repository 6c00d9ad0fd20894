"""Extraction on a Dask cluster."""

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
