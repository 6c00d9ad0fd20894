"""The message to a user who asks for the impossible."""

import pytest

from featurestack.base.errors import RequestError


def refused(words):
    """Expects a RequestError of one line in which this pattern occurs."""
    return pytest.raises(
        RequestError, match=words, check=lambda error: "\n" not in str(error)
    )
