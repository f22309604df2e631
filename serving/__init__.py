"""From frames to masks over gRPC: server, protocols, model store, client.

`server.serve` runs a server, `client.SegmentationClient` asks one. Nothing is imported here, so that a client never
pays for onnxruntime or MLflow.
"""
