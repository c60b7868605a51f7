"""The whole serverless stack on one machine: real Lambda runtimes and real SDKs against local servers."""
