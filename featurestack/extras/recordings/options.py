"""Options of the commands on annotated recordings."""

from featurestack.base.options import Options, option


class LabelOptions(Options):
    """The labels in annotation tables."""

    column: str = option(
        "", "column of labels in the tables; by default one of the names in use"
    )
    label: str = option("", "label of events that have none; COLUMN names a column")
