"""The deployment to AWS, as a CDK app, and the same stack on one machine."""
