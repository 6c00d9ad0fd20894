"""A section of the report."""

from featurestack.analysis.sections import Section


def whales(page):
    """Where the whales are."""
    return Section("whales", "Whales", leads={"Where?": f"In the {ocean(page)}."})


def ocean(page):
    return getattr(page.options, "ocean", "Arctic")
