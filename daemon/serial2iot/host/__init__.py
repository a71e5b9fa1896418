"""The machine the daemon lives on: systemd, the journal, the clock."""
