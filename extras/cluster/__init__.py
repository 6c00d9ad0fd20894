"""Extraction on a Dask cluster; training by several processes or devices."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    capabilities={
        "dask": "featurestack.extras.cluster.dask_cluster",
        "torchrun": "featurestack.extras.cluster.torchrun",
    },
    extra="scale",
)
