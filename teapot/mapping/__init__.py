"""From a record to a row: named formats, declared mappings, templates, and the licence of a record."""
