"""Where a command may write a picture."""

from pathlib import Path


class PictureError(ValueError):
    """A picture cannot be written there."""


def writable_picture(option: str, picture: Path) -> Path:
    """Return the path that `option` gave, once it is sure that a picture can be written there."""
    if picture.suffix != ".png":
        raise PictureError(f"{option} {picture} does not end in .png")
    is_new = not picture.exists()
    try:
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.open("ab").close()
    except OSError as error:
        raise PictureError(f"{option} {picture}: {error.strerror}") from None
    if is_new:
        picture.unlink()
    return picture
