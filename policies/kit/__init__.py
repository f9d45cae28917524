"""What every rule stands on: reading resources, strict unknowns, safe messages, exceptions, wiring."""
