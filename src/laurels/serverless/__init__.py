"""The service as functions on AWS Lambda, on boards that Momento keeps."""
