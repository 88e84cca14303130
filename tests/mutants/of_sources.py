"""Mutants of what fetches, pins and compares sources: G12."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

HUB, GUARD, RETRY = "teapot/sources/hub.py", "teapot/sources/hub_guard.py", "teapot/sources/retry.py"
HTTPS, URL, WATCHDOG = "teapot/sources/https.py", "teapot/sources/url.py", "teapot/sources/watchdog.py"
PINNING, LOCAL, PLANNING = "teapot/sources/pinning.py", "teapot/sources/local.py", "teapot/engine/planning.py"
HUB_TESTS, URL_TESTS, LOCK_TESTS = "tests/sources/test_hub.py", "tests/sources/test_url.py", "tests/test_lock.py"

MUTANTS = (
    Mutant(
        "hash-of-a-hub-file-skipped", "G12", "a file of the Hub is taken as it comes",
        HUB, "    return digest.hexdigest() == (oid if sha256 is None else sha256)", "    return True",
        (f"{HUB_TESTS}::test_wrong_bytes_on_the_way_are_fetched_again_once",),
    ),
    Mutant(
        "hashes-ahead-exchanged", "G12", "a hash that was made before it was asked for is taken for another file's",
        "teapot/sources/ahead.py", "self._files.pop(path, None)", "self._files.pop(next(iter(self._files), path), None)",
        ("tests/sources/test_ahead.py",),
    ),
    Mutant(
        "half-a-block-hashed", "G12", "where two files are hashed at a time, a piece that ends within a block spoils the hash",
        "teapot/engine/native/pairhasher.h", "if (wanted && taken == wanted)", "if (wanted)",
        ("tests/engine/test_native.py::test_hashes_of_two_streams",),
    ),
    Mutant(
        "hash-of-a-url-file-skipped", "G12", "a file of a URL is taken as it comes",
        URL, "            if got != origin.sha256:", "            if False:",
        (f"{URL_TESTS}::test_other_bytes_are_refused_and_not_kept",),
    ),
    Mutant(
        "hash-of-the-cache-skipped", "G12", "a file in the cache is taken as it lies there",
        URL, "target.is_file() and _sha256(target) != origin.sha256", "False",
        (f"{URL_TESTS}::test_a_damaged_cache_is_mended_online_and_named_offline",),
    ),
    Mutant(
        "poisoned-cache", "G12", "a file with wrong bytes stays in the cache",
        HUB, "        self._once(lambda: self._forget(fresh), subject)", "        pass",
        (f"{HUB_TESTS}::test_wrong_bytes_on_the_way_are_fetched_again_once",),
    ),
    Mutant(
        "half-a-download-stays", "G12", "what was downloaded of a file that was refused stays",
        "teapot/writer.py", "            Path(file.name).unlink(missing_ok=True)", "            pass",
        (f"{URL_TESTS}::test_other_bytes_are_refused_and_not_kept",),
    ),
    Mutant(
        "wrong-size-accepted", "G12", "a body that is shorter than its length says is taken to be whole",
        HTTPS, "        if expected is not None and size != expected:", "        if False:",
        ("tests/faults/test_hub_url.py::test_every_fault_for_ever_and_once",),
    ),
    Mutant(
        "listed-size-ignored", "G12", "the size that the Hub lists for a file is not compared with the one that it sends",
        GUARD, "self.size is not None and size is not None and size != str(self.size):", "False:",
        ("tests/faults/test_hub_listings.py::test_what_a_listing_says_of_a_file", "tests/faults/test_hub_between.py::test_what_changes_after_the_listing"),
    ),
    Mutant(
        "too-much-is-read", "G12", "a file may be longer than is allowed",
        HTTPS, "            if size > self._max_bytes:", "            if False:",
        (f"{URL_TESTS}::test_too_much_is_not_read",),
    ),
    Mutant(
        "another-commit-accepted", "G12", "a file of another commit than was asked for is taken",
        GUARD, "        if commit != subject.revision:", "        if False:",
        (f"{HUB_TESTS}::test_another_commit_than_asked_for_is_refused",),
    ),
    Mutant(
        "names-that-climb", "G13", "the Hub may list a file '../x'",
        HUB, '    if {"", ".", ".."} & set(parts) or re.search', "    if re.search",
        (f"{HUB_TESTS}::test_dangerous_names_are_refused",),
    ),
    Mutant(
        "token-along-a-redirect", "G14", "the token goes with every request, whatever host it is to",
        GUARD,
        '        request.headers.pop("Cookie", None)',
        '        from huggingface_hub import get_token\n        request.headers["Authorization"] = f"Bearer {get_token()}"\n'
        '        request.headers.pop("Cookie", None)',
        (f"{HUB_TESTS}::test_the_token_goes_to_the_hub_but_not_to_the_cdn", "tests/faults/test_hub_redirects.py::test_the_token_does_not_follow"),
    ),
    Mutant(
        "cookies-kept", "G14", "a cookie that one answer left goes with every later request",
        GUARD, '        request.headers.pop("Cookie", None)', "        pass",
        ("tests/sources/test_hub_guard.py::test_no_cookie_is_sent_back",),
    ),
    Mutant(
        "private-addresses-fetched", "G12", "a URL may lead into this machine's own network",
        HTTPS, "            if not self._opener.allow_private and not is_public(address):", "            if False:",
        (f"{URL_TESTS}::test_addresses_that_are_not_public_are_not_connected_to",),
    ),
    Mutant(
        "redirects-anywhere", "G12", "where a redirect leads is not looked at",
        HTTPS, "            check_url(url, place)\n        except", "            pass\n        except",
        (f"{URL_TESTS}::test_redirects_to_anything_but_https_are_refused",),
    ),
    Mutant(
        "tls-given-up", "G12", "a Hub over https may lead to an address without it",
        GUARD, '        if scheme == "https" and parts.scheme == "http":', "        if False:",
        ("tests/faults/test_hub_redirects.py::test_a_hub_over_tls_does_not_lead_to_plain_http",),
    ),
    Mutant(
        "timeout-ignored", "G12", "a server that goes silent, or drips, is waited for without end",
        WATCHDOG, "            if time.monotonic() >= self._deadline:", "            if False:",
        ("tests/sources/test_watchdog.py",),
        hangs=True,
    ),
    Mutant(
        "retried-for-ever", "G12", "an attempt is repeated as long as it fails",
        RETRY, "            if attempt >= retries or waited", "            if waited",
        ("tests/sources/test_retry.py",),
    ),
    Mutant(
        "waits-as-long-as-told", "G12", "a server may say how long it is to be waited for",
        RETRY, "            if attempt >= retries or waited + pause > LONGEST_WAIT * unit:", "            if attempt >= retries:",
        ("tests/sources/test_retry.py",),
    ),
    Mutant(
        "offline-ignored", "G12", "the Hub is asked although the network is off",
        HUB, "        if self._offline:\n            raise not_cached(subject)\n        from", "        from",
        (f"{HUB_TESTS}::test_offline_opens_no_socket",),
    ),
    Mutant(
        "offline-fetches", "G12", "a file is downloaded although the network is off",
        HUB, "        if self._offline:  # not even", "        if False:  # not even",
        (f"{HUB_TESTS}::test_offline_opens_no_socket", f"{HUB_TESTS}::test_offline_names_what_is_not_cached"),
    ),
    Mutant(
        "offline-url-fetched", "G12", "a URL is fetched although the network is off",
        URL, "        if offline:\n", "        if False:\n",
        (f"{URL_TESTS}::test_offline_does_not_ask",),
    ),
    Mutant(
        "lock-ignored", "G12", "sources are pinned anew although the lock pins them",
        PLANNING, 'keep = None if old is None or upgrade == "all" or', "keep = None if True or",
        (f"{LOCK_TESTS}::test_a_changed_file_is_named",),
    ),
    Mutant(
        "locked-ignored", "G12", "'--locked' lets the lock change",
        PLANNING, "    drift = list(compare(old, new))\n    if drift:", "    drift = list(compare(old, new))\n    if False:",
        (f"{LOCK_TESTS}::test_drift_names_field_old_and_new", f"{LOCK_TESTS}::test_set_with_locked_is_drift"),
    ),
    Mutant(
        "locked-bytes-not-compared", "G12", "a local file with other bytes than the lock's is read",
        PINNING, "        if content(before[key]) != content(after[key]):", "        if False:",
        (f"{LOCK_TESTS}::test_a_changed_file_is_named",),
    ),
    Mutant(
        "locked-sizes-compared-alone", "G12", "a local file is compared with the lock by its size alone",
        PINNING, "    return file.size, file.sha256", '    return file.size, ""',
        (f"{LOCK_TESTS}::test_a_changed_file_of_the_same_size",),
    ),
    Mutant(
        "result-not-binding", "G12", "the same inputs may give another output than the lock holds",
        "teapot/verbs/records.py", "    if made.old is not None and same_inputs and made.old.result and", "    if False and",
        (f"{LOCK_TESTS}::test_another_result_is_refused",),
    ),
    Mutant(
        "change-while-read", "G12", "a file that changes after it was hashed is read as it is then",
        LOCAL, "        if now != self.signature:", "        if False:",
        ("tests/engine/test_findings.py::test_a_source_that_changes_while_it_is_read",),
    ),
    Mutant(
        "change-while-hashed", "G12", "a file that changes while it is hashed gets a hash of no file",
        LOCAL, "        if signature_of(self._before) != signature_of(after) or size != after.st_size:", "        if False:",
        ("tests/faults/test_writer.py::test_a_file_that_changes_while_it_is_hashed",),
    ),
)  # fmt: skip
