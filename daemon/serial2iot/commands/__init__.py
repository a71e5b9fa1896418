"""Commands of `serial2iot` beside `run` and `check`: a module each, with `add_arguments` and `async run`."""
