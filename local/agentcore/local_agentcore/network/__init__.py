"""The network of sandboxes: services for connections that listeners on a sandbox's loopback accept."""
