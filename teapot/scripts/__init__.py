"""Programs that are copied into training folders. They run where the trainer is installed, and import nothing of Teapot."""
