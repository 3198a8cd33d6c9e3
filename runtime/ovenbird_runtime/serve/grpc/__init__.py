"""gRPC: the Open Inference Protocol, health and reflection, over HTTP/2 in the server's own event loop."""
