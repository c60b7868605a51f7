"""The deployment to AWS, as a CDK app, and the same stack on one machine."""

import os

# Debian has this Node.js, and CDK still runs on it.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
