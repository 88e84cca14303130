"""What a user can ask for, one file a verb. They use the engine and the edges, and know nothing of terminals."""
