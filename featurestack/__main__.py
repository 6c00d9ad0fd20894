"""`python -m featurestack COMMAND …`: the console command."""

from featurestack.console import main

if __name__ == "__main__":
    main()
