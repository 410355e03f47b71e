"""APIs of other gateways, so that programs made for those can be pointed here: each switched on by itself."""
