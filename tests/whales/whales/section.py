"""A section of the report."""

from featurestack.analysis.sections import Section
from whales.commands import OceanOptions


def whales(page):
    """Where the whales are."""
    return Section("whales", "Whales", leads={"Where?": f"In the {ocean(page)}."})


def tide(page):
    """No section; it raises for a river."""
    assert ocean(page) != "Styx"


def ocean(page):
    return page.options.of(OceanOptions).ocean
