"""Options, messages, progress and errors, for every command. It imports nothing else of the project."""
