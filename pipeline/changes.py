"""What differs between the clips that a cache knows and those that it is asked for, in a line each."""

from pipeline.request import Request

LABELS = ["label", "category", "fold", "group"]


def changes(asked: Request) -> list[str]:
    """`10 new clips`, `1 clip whose audio changed`, `another order: …`; nothing for a new cache."""
    if asked.before is None:
        return []
    before, now = asked.before.set_index("clip_id"), asked.clips.set_index("clip_id")
    both = now.index.intersection(before.index)
    old, new = before.loc[both], now.loc[both]
    mine = new.index.isin(asked.clips["clip_id"].iloc[asked.part])
    heard = (old["source_hash"] != "") & mine
    edited = heard & (old["source_hash"] != new["source_hash"])
    touched = heard & ~edited & (old["source_time_ns"] != new["source_time_ns"])
    relabelled = (old[LABELS].astype(str) != new[LABELS].astype(str)).any(axis=1)
    moved = list(both) != list(before.index.intersection(now.index))
    lines = [
        _line(len(now) - len(both), "new", "are computed"),
        _line(len(before) - len(both), "removed", "leave the files of the features that are asked for"),
        _line(int(edited.sum()), "changed in their audio", "are computed again"),
        _line(int(touched.sum()), "written again with the same content", "still hold"),
        _line(int(relabelled.sum()), "labelled or folded differently", "need no computing"),
    ]
    return [line for line in (*lines, "clips in another order: maps are copied" if moved else "") if line]


def _line(count: int, what: str, consequence: str) -> str:
    return f"clips {what}: {count:,}, {consequence}" if count else ""
