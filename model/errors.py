"""What can go wrong in the model package, each with one sentence that says what to do."""


class ModelError(Exception):
    """A checkpoint cannot be loaded or a fill is impossible; the message is one sentence for the user."""


class Cancelled(Exception):
    """The fill was cancelled between two denoising steps."""
