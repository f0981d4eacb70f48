"""Source databases, read directly: what they hold, whether they are fit for change capture, markers in their log."""
