"""What the configs of published experiments share."""
