"""Set transformer over all players and the ball, steering a rollout with bounded acceleration."""
