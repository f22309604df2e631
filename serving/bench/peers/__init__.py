"""Other servers with the same ONNX file. All but `catalogue` and `naive_grpc` run in environments without isthmus."""
