"""Extraction on a Dask cluster."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    extra="scale",
    adds={
        "options": {"FeaturesCommand": ".options:ClusterOptions"},
        "capabilities": {"dask": ".dask_cluster"},
    },
)
