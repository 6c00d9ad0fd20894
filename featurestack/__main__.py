"""`python -m featurestack WORD NAME=value …`, for processes that a command starts."""

from featurestack.cli.commands import main

if __name__ == "__main__":
    main()
