"""The paper's experiments, one package each: config, data, model, training, metrics and figures."""
