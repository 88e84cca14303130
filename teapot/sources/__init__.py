"""Where records come from: local files, the Hub, a URL, a module's own script; and the readers of their formats."""
