"""The page at ``/``: plain files without a build step, which ask nobody but this server."""
