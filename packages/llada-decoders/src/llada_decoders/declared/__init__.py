"""What the registry learns of each decoder: a module each, none of which needs torch or the runtime."""
