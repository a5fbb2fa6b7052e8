"""Run a fitted model over shards of users, in this process or elsewhere."""
