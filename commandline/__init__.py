"""What every command shares: options, messages, progress, errors. It imports nothing of the project."""
