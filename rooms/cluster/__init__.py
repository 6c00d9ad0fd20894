"""Extraction on a Dask cluster; a run's folds on several devices."""

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


@ROOM.capabilities("devices")
def load_devices() -> Loaded:
    from featurestack.rooms.cluster import devices

    return (devices,)
