"""The serial line: opening it, reading it in large chunks, noticing that it is gone and that it is back."""
