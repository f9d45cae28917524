"""What a recipe for an image says: packages, programs, users and folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class User:
    """The user of an image's process."""

    name: str
    uid: int
    gid: int
    home: str = "/"


@dataclass(frozen=True)
class Program:
    """A program that no package has, compiled from somebody's Go module.

    `path`: where the image has it. `package`: its import path. `module`: folder of the module of this project that pins
    it, in this `version`.
    """

    path: str
    package: str
    module: str
    version: str


@dataclass(frozen=True)
class Jars:
    """Java archives that no package has, fetched by Maven.

    `path`: folder of the image that holds them. `module`: folder below `toolchain/maven` that pins them, as `version`.
    """

    path: str
    module: str
    version: str


@dataclass(frozen=True)
class Library:
    """Programs of this project around a library that a Python package has.

    `path`: folder of the image that holds both. `package`: the library's, in this `version`; what of it is wanted:
    `files`. `programs`: name in /usr/bin -> module of this project, whose folder goes into the image.
    """

    path: str
    package: str
    version: str
    files: tuple[str, ...]
    programs: Mapping[str, str]


@dataclass(frozen=True)
class Recipe:
    """One image.

    `repository`: its name without registry. `packages`: what it holds besides those of every image; the version of the
    first one is that of the image. `program`, `jars`, `library`: what it holds besides packages. `folders`: path ->
    mode, owned by the user. `links`: path -> target. An image without packages is made of this project's own Go module
    `module`.
    """

    repository: str
    title: str
    user: User
    packages: tuple[str, ...] = ()
    module: str = ""
    program: Program | None = None
    jars: Jars | None = None
    library: Library | None = None
    folders: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"
    """What the original asks for: PostgreSQL would wait for its clients on SIGTERM, nginx not for its requests."""
