"""The worth of each feature: `make importance`, `make curve`, their section of the
report, and the page across datasets.
"""

from pathlib import Path

from featurestack.commandline.rooms import Room
from featurestack.packages import enter

enter(__name__)

ROOM = Room(
    commands={
        "train importance": "featurestack.importance.commands:importance",
        "train curve": "featurestack.importance.commands:curve",
    },
    options={"AnalysisOptions": "featurestack.importance.across_options:AcrossOptions"},
    functions={"importance": "featurestack.importance.functions:importance"},
    capabilities={
        "across": "featurestack.importance.overview",
        "importance": "featurestack.importance.measure",
        "importance folders": "featurestack.importance.folder",
    },
    figures={
        "importance": "featurestack.importance.figures",
        "importance_by_class": "featurestack.importance.figures",
        "importance_redundancy": "featurestack.importance.figures",
        "importance_sets": "featurestack.importance.figures",
        "importance_accuracy": "featurestack.importance.figures",
        "curve": "featurestack.importance.figures",
        "across_gains": "featurestack.importance.across_figures",
        "across_heat_map": "featurestack.importance.across_figures",
        "across_shares": "featurestack.importance.across_figures",
    },
    sections={"importance": "featurestack.importance.section:importance"},
    needs={"importance": "importance-*/*.*"},
    templates=Path(__file__).parent / "templates",
)
