"""What a user is told who asks for what cannot be."""

import pytest

from commandline.errors import RequestError


def refused(words):
    """Expects a RequestError of one line in which this pattern occurs."""
    return pytest.raises(RequestError, match=words, check=lambda error: "\n" not in str(error))
