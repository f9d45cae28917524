"""Starts the policy pack; nothing else may.

The engine starts this file with `policies` as the working directory. The package is addressed by its full name all the
same, so that a rule is one module here and in tests.
"""

import sys
from pathlib import Path

# Appended, so that nothing beside the pack can take the place of an installed package.
sys.path.append(str(Path(__file__).resolve().parent.parent))

if __name__ == "__main__":
    from policies.kit.analyzer import serve
    from policies.kit.gate import build_gate

    try:
        gate = build_gate(Path(__file__).resolve().parent)
    except ValueError as error:
        sys.exit(str(error))
    serve("groundwork", gate)
