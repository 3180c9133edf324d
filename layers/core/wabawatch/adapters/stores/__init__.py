"""Where snapshots, transitions and incidents are kept."""
