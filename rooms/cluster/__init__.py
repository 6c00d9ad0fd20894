"""Extraction on a Dask cluster; training by several processes or devices."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    capabilities={
        "dask": "featurestack.rooms.cluster.dask_cluster",
        "torchrun": "featurestack.rooms.cluster.torchrun",
    },
    extra="scale",
)
