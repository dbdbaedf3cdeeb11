"""The files that `wotemu init` writes: a deployment and its apps, to edit."""
