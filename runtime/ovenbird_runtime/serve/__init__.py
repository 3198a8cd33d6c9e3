"""The server: batched, bounded, observable (`ovenbird-runtime[serve]`).

    ovenbird-rt serve artifacts/resnet50 --port 8000

Inwards from the socket:

    http/        bytes to requests and back, under deadlines and limits; knows nothing of models
    app.py       a request to its route, an error to its status, a log line and the metrics for both
    predict.py   the friendly route: pictures in, labels out
    v2/          the Open Inference Protocol: tensors in, tensors out
    admission.py permits: what cannot be answered in time is refused before it costs anything
    preparation.py  decoding and pre-processing, beside the model's threads
    batcher.py   requests gathered into the batches that finish the queue soonest
    deployment.py   one loaded artifact with its batcher; `slots.py` swaps them under load
    watching.py  whether a new version lies there, whole
    lifecycle.py starting, ready, draining, stopped
"""
