"""An object in a store that speaks S3, as an address over https that is signed for a while.

Which store that is, and with whose rights, is the user's to say, with the variables and files of AWS; a module only names bucket and key.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from teapot.errors import ConfigError, Place
from teapot.modules_sources import s3_parts, s3_problem

SCHEME = "s3://"

SECONDS = 3600
"""How long an address can be used: for a request to begin, however long the download then takes."""

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


class Signed(NamedTuple):
    """The address, and whether it is of a store that the user named, which may be in a network of their own."""

    url: str
    is_own: bool


def check_s3_url(url: str, place: Place | None) -> None:
    """Raise ConfigError for what does not name a bucket and a key."""
    if (wrong := s3_problem(url)) is not None:
        raise ConfigError(f"the address of an object {wrong}", place, "write s3://BUCKET/KEY")


def signed(url: str, place: Place | None) -> Signed:
    """The address of an object; it is not signed where there are no credentials, as for buckets that are public.

    Raises:
        ConfigError: botocore is not installed, or what it is told is wrong.
    """
    try:
        import botocore.config
        import botocore.exceptions
        import botocore.session
    except ImportError:
        raise ConfigError("'s3://' needs botocore, which is not installed", place, "pip install 'teapot[s3]'") from None
    bucket, key = s3_parts(url)
    try:
        session = botocore.session.get_session()
        signature = "s3v4" if session.get_credentials() is not None else botocore.UNSIGNED
        is_own = any(os.environ.get(name) for name in ENDPOINTS)
        style = {"addressing_style": "path" if is_own or "." in bucket else "virtual"}
        client = session.create_client("s3", config=botocore.config.Config(signature_version=signature, s3=style))
        address = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=SECONDS)
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        raise ConfigError(f"the settings of AWS cannot be used: {error}", place, "correct them, and run the same command again") from None
    return Signed(str(address), is_own)
