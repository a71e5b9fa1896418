"""The only queue between the wire and the cloud: bounded, one lane per port."""
