"""Commands of `serial2iot` that work beside the daemon: a module each, with `add_arguments` and `async run`."""
