"""The block-diffusion mixture-of-experts model: layout, denoising, training. It knows nothing of LSP or of editors."""
