"""`python -m featurestack COMMAND …`: the console command."""

from featurestack import main

if __name__ == "__main__":
    main()
