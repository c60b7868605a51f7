"""The deployment to AWS, as a CDK app, and the same stack on one machine."""

import os

os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")  # Debian's Node.js, which CDK still runs on
