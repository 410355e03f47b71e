"""HTTP: the native API, the portal, health, and (when it runs) the simulator's page."""
