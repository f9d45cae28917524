"""What must hold in every environment: the policy pack. Imports nothing of stacks or components; it trusts nobody."""
