"""Options, messages, progress and errors of the commands."""
