"""What the registry learns of this engine. Importing this module needs neither torch nor the runtime."""
