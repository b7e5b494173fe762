"""`turnout agent`: the long-running processes of a node."""

from __future__ import annotations

import typer

from cli.lazygroup import lazy_group

COMMANDS = {
    "image-controller": (
        "cli.imagecontroller",
        "Have the ImageConversions of a cluster made, by a Job each, one at a time on a node.",
    ),
    "image-adopter": (
        "cli.imageadopter",
        "Have this node start containers from what other nodes of the cluster have converted.",
    ),
    "storage": (
        "cli.storageagent",
        "Serve containerd's snapshots API: converted images start without being pulled.",
    ),
}
"""Command -> module and help."""

app = typer.Typer(
    cls=lazy_group(COMMANDS), add_completion=False, no_args_is_help=True, rich_markup_mode=None, help=__doc__
)


@app.callback()
def agent() -> None:
    """The long-running processes of a node."""
