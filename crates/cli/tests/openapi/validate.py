"""Says whether what stands at a URL is an OpenAPI document.

usage: validate.py URL
"""

import sys

import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

OpenAPIV31SpecValidator(requests.get(sys.argv[1], timeout=30).json()).validate()
