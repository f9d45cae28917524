"""`python3 -m toolchain images [REFERENCE ...]`: words for a person around `images.py`."""

from __future__ import annotations

from toolchain import docker, images
from toolchain.image_recipes import RECIPES


def main(arguments: list[str]) -> int:
    """Bring the images to the engine and say what each is; without a reference, list what can be made here."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: python3 -m toolchain images REFERENCE ...\n")
        print("where no registry can be reached, these are made here, with any tag of their major version:")
        for recipe in RECIPES:
            print(f"  {recipe.repository:<38}{' '.join(recipe.packages) or f'Go module {recipe.module}'}")
        return 0
    host = docker.ensure()
    images.ensure_images(arguments, host)
    for reference in dict.fromkeys(arguments):
        print(f"{reference}: {images.origin(reference, docker.command(host))}")
    return 0
