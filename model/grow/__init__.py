"""Turn a pretrained language model of the Llama or Qwen2 family into a DiffusionGemma, function preserved.

``python -m dgemma_model.grow SOURCE --out FOLDER`` does it. The path of the weights, a file each:
a *source* (`gguf_source`, `safetensors_source`) gives the *plain* network (`plain`) tensor by tensor; `vocabulary`
drops the tokens that code does not need; `pack` stores matrices in four or eight bits; `checkpoint` writes and reads
the folder; `blueprint` and `stock` say how the same network sits in transformers' DiffusionGemma classes; `export`
writes it that way.
"""
