"""A dispatcher whose containers are those of the command crun: an OCI runtime behind the library's runtime vtable."""
