"""`python -m train listen`: the classes of live audio."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={"train listen": "featurestack.rooms.live.options:listen"},
    capabilities={"listen": "featurestack.rooms.live.listen"},
    extra="live",
)
