"""The server: batched, bounded, observable (`ovenbird-runtime[serve]`).

    ovenbird-rt serve artifacts/resnet50 --port 8000

Inwards from the socket:

    http/         bytes to requests and back, under deadlines and limits; knows nothing of models
    grpc/         the same for gRPC, over HTTP/2
    app.py        a request to its route, an error to its status
    call.py       one request of either: its deadline, its times, and its end in metrics, statistics and log
    routes/       the friendly route (pictures in, labels out), the page, the metrics; table.py lists every path
    v2/           the Open Inference Protocol: tensors in, tensors out
    models/       permits, preparation of pictures, batches; models are loaded, watched and swapped
    offload.py    threads for what would keep the event loop
    telemetry/    metrics, statistics, logs
    context.py    all parts of a server, as routes see them
    lifecycle.py  starting, ready, draining, stopped
    process.py    the parts put together, signals, the end; command.py is its command line
"""
