"""dgemma-lsp: fill the holes in code, several at once, with a block-diffusion model."""

__version__ = "0.1.0"
