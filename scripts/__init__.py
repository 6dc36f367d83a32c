"""What the Makefile runs: setting up, stages with a heartbeat, checks, the artifact."""
