"""The worth of each feature: `make importance`, `make curve`, their section of the
report, and the page across datasets.
"""

from pathlib import Path

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={
        "train importance": "featurestack.rooms.importance.commands:importance",
        "train curve": "featurestack.rooms.importance.commands:curve",
    },
    options={
        "AnalysisOptions": "featurestack.rooms.importance.across_options:AcrossOptions"
    },
    functions={"importance": "featurestack.rooms.importance.functions:importance"},
    capabilities={
        "across": "featurestack.rooms.importance.overview",
        "importance": "featurestack.rooms.importance.measure",
        "importance folders": "featurestack.rooms.importance.folder",
    },
    figures={
        "importance": "featurestack.rooms.importance.figures",
        "importance_by_class": "featurestack.rooms.importance.figures",
        "importance_redundancy": "featurestack.rooms.importance.figures",
        "importance_sets": "featurestack.rooms.importance.figures",
        "importance_accuracy": "featurestack.rooms.importance.figures",
        "curve": "featurestack.rooms.importance.figures",
        "across_gains": "featurestack.rooms.importance.across_figures",
        "across_heat_map": "featurestack.rooms.importance.across_figures",
        "across_shares": "featurestack.rooms.importance.across_figures",
    },
    sections={"importance": "featurestack.rooms.importance.section:importance"},
    needs={"importance": "importance-*/*.*"},
    templates=Path(__file__).parent / "templates",
)
