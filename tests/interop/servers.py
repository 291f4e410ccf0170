"""The real servers of the interoperability tests: HAPI FHIR, the reference validator, PostgreSQL.

Each is a context manager, listens on 127.0.0.1 only, logs under ``.interop/logs`` and cannot
outlive the test run. A missing program raises NotAvailableError, which says what to install.
"""

from hapi_server import HapiServer
from java_build import NotAvailableError
from postgres_server import PostgresServer
from validator import Issue, Validator, Verdict

__all__ = ["HapiServer", "Issue", "NotAvailableError", "PostgresServer", "Validator", "Verdict"]
