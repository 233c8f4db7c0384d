"""The local API Gateway: sockets, management API and HTTP API on the deployed functions."""
