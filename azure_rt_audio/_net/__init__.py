"""From a URL to a connected socket."""
