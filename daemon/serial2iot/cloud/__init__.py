"""The way to AWS IoT Core: one MQTT 5 session, what is said over it, and whether it was heard."""
