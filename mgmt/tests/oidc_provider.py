"""An identity provider for tests: `oidc-provider-mock` over TLS, made to insist on what a provider
should insist on: registered clients, a nonce, and PKCE.

Usage: oidc_provider.py CERTIFICATE KEY PORT-FILE
"""

import os
import sys

import oidc_provider_mock
import werkzeug.serving
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc7636 import CodeChallenge
from oidc_provider_mock import _app

challenges = {}


class RememberingGrant(_app.AuthorizationCodeGrant):
    def save_authorization_code(self, code, request):
        challenges[code] = request.payload.data["code_challenge"]
        return super().save_authorization_code(code, request)


class Challenge(CodeChallenge):
    """PKCE with SHA-256, of confidential clients as well."""

    def validate_code_challenge(self, grant, *rest):
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("a code_challenge with S256 is required")
        return super().validate_code_challenge(grant, *rest)

    def get_authorization_code_challenge(self, authorization_code):
        return challenges[authorization_code.code]

    def get_authorization_code_challenge_method(self, authorization_code):
        return "S256"


class OpenIDCodeWithChallenge(_app.OpenIDCode):
    def __call__(self, grant):
        super().__call__(grant)
        Challenge(required=True)(grant)


def main(certificate, key, port_file):
    _app.AuthorizationCodeGrant = RememberingGrant
    _app.OpenIDCode = OpenIDCodeWithChallenge
    app = oidc_provider_mock.app(require_client_registration=True, require_nonce=True)
    server = werkzeug.serving.make_server(
        "127.0.0.1", 0, app, threaded=True, ssl_context=(certificate, key)
    )
    with open(port_file + ".new", "w") as file:
        file.write(str(server.port))
    os.rename(port_file + ".new", port_file)
    server.serve_forever()


main(*sys.argv[1:])
