"""`python -m train listen`: the classes of live audio."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={"train listen": "featurestack.extras.live.options:listen"},
    capabilities={"listen": "featurestack.extras.live.listen"},
    extra="live",
)
