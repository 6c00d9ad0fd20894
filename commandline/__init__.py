"""What every command shares: options, messages, progress. It imports nothing of the project."""
