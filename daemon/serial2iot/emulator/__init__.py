"""AWS IoT Core's part on this machine, for trying out and for tests."""
