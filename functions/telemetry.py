"""The functions' log: JSON lines on stderr, one for each unit of work.

Never in it: query strings, headers, bodies, API keys, prices sent.
"""

import sys

from aws_lambda_powertools import Logger

logger = Logger(service="tapedeck-functions", stream=sys.stderr, use_rfc3339=True, utc=True)
