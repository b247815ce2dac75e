"""What code in a sandbox reaches beside itself: each part serves connections that the sandbox's own loopback took."""
