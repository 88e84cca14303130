"""Chat templates: a row as the text that a model sees, with the places of what is trained on. See docs/templates.md."""
