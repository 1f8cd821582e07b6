"""Useful floating-point operations of a training step by formula (recomputation and padding do not count).

A matrix of P numbers costs a token 2P forward, 2P for the gradient of its input and, where it trains, 2P for its own.
Low-rank pairs of rank 16 stand on all seven matrices of a block. Attention is causal within a document of length l:
2 q l forward for both products and twice that backward, for each token and layer. The output head sees label rows only.
"""


def per_step(config, ids, method, count, rank=16):
    d, f, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or d // heads
    q, kv = heads * head_dim, config.get("num_key_value_heads", heads) * head_dim
    shapes = [(d, q), (d, kv), (d, kv), (q, d), (d, f), (d, f), (f, d)]
    blocks = layers * sum(i * o for i, o in shapes)
    adapter = layers * rank * sum(i + o for i, o in shapes)
    rows = [row for step in ids["steps"][:count] for row in step]
    tokens = sum(len(r["ids"]) for r in rows)
    labels = sum(sum(r["trained"]) for r in rows) / tokens
    factor = 4 if method == "lora" else 6
    parts = {"blocks": factor * blocks, "adapter": 6 * adapter if method == "lora" else 0,
             "attention": 6 * layers * q * sum(len(r["ids"]) ** 2 for r in rows) / tokens,
             "head": factor * config["vocab_size"] * d * labels,
             # nobody needs the gradient of the embedded tokens when the embedding is frozen
             "lowest": -2 * d * (q + 2 * kv) if method == "lora" else 0}
    return {"perToken": sum(parts.values()), "labelShare": round(labels, 4), **parts}
