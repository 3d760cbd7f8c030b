"""A run with things worth seeing, of which draw.py then makes the pictures: see `run`."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from exchange import AGENCIES, PODS, SCRAPE_SECONDS, Exchange
from load import Load

CAPTION = f"Real calls over mutual TLS, scraped every {SCRAPE_SECONDS} s."

# When, as a share of the run; what the pictures call it; and what is done.
Step = tuple[float, str, Callable[[], None]]


def steps(exchange: Exchange, load: Load) -> list[Step]:
    first, second = PODS

    def renew_certificate() -> None:
        exchange.issue("ncsc", "server", "3d", "--address", "localhost,127.0.0.1")
        exchange.deliver_certificate()

    def revoke() -> None:
        exchange.issue("ico", "stolen-system", "30d")
        stolen = exchange.context("ico", "officer", ["requester"], first, "stolen-system")
        exchange.concordat("certs", "revoke", "ico/stolen-system.pem", "--authority", "ico/authority")
        exchange.deliver("ico", "authority/lists.pem", "lists.pem")
        # As soon as every pod has read the list.
        threading.Timer(2 * SCRAPE_SECONDS, load.knock, (stolen, 60)).start()

    def short_list() -> None:
        exchange.concordat("certs", "revoke", "--valid", "4h", "--authority", "nca/authority")
        exchange.deliver("nca", "authority/lists.pem", "lists.pem")

    def second_root() -> None:
        exchange.make_authority("nca", "next-authority", "730d")
        with (exchange.folder / "nca/authority/authority.pem").open("a") as roots:
            roots.write((exchange.folder / "nca/next-authority/authority.pem").read_text())
        with (exchange.folder / "nca/authority/lists.pem").open("a") as lists:
            lists.write((exchange.folder / "nca/next-authority/lists.pem").read_text())
        # One pod has it, the other not yet.
        exchange.deliver("nca", "authority/lists.pem", "lists.pem", [first])
        exchange.deliver("nca", "authority/authority.pem", "roots.pem", [first])

    def renew_systems() -> None:
        for agency in AGENCIES:
            exchange.issue(agency, "case-system", "30d")

    def break_files(pods) -> None:
        exchange.deliver("ncsc", "token.key", "server.key", pods)

    def hold_lock() -> None:
        threading.Thread(
            target=exchange.sql, args=("BEGIN; SELECT size FROM ledger_head FOR UPDATE; SELECT pg_sleep(40)",)
        ).start()

    return [
        (0.00, "two pods, no agreement in force", lambda: None),
        (0.05, "the agreements are put into force", load.activate),
        (0.18, "the node's certificate is renewed, for three days", renew_certificate),
        (0.26, "a certificate is revoked, and its system goes on trying", revoke),
        (0.34, "a key that is not the certificate's", lambda: break_files(PODS)),
        (0.42, "the right key again", exchange.deliver_certificate),
        (0.48, f"{second} is stopped", lambda: exchange.stop(second)),
        (0.54, f"{second} is started", lambda: exchange.start_pod(second)),
        (0.59, "the callers renew their certificates, and connect anew", renew_systems),
        (0.64, "a session holds the ledger's head for 40 seconds", hold_lock),
        (0.75, "an import of 800 records at once", lambda: load.burst(800)),
        (0.80, "a wrongful release is reported 80 hours after it was known", load.report_wrongful),
        (0.84, "a list for four hours; a second root, in one pod", lambda: (short_list(), second_root())),
        (0.90, f"{first} is restarted", lambda: (exchange.stop(first), exchange.start_pod(first))),
        (0.95, f"a wrong key in {second} again", lambda: break_files([second])),
    ]


def report(text: str, ends: str = "\n") -> None:
    """A line of progress: rewritten in a terminal."""
    begins = "\r\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(begins + text + ends)
    sys.stderr.flush()


def play(exchange: Exchange, load: Load, seconds: float) -> None:
    """Does each step in its time, and writes down in `steps.json` what was done when."""
    began, done = time.time(), []
    waiting = steps(exchange, load)
    while (passed := time.time() - began) < seconds:
        if waiting and passed >= waiting[0][0] * seconds:
            _, text, act = waiting.pop(0)
            report(f"{passed:5.0f} s  {text}")
            done.append({"at": time.time(), "text": text})
            act()
        if sys.stderr.isatty():
            share = int(40 * passed / seconds)
            acts = f"{sum(load.answers.values()):,} acts of officers"
            report(f"[{'#' * share}{'.' * (40 - share)}] {passed:.0f} of {seconds:.0f} s, {acts}", "")
        time.sleep(0.5)
    (exchange.folder / "steps.json").write_text(json.dumps(done))
    report(f"{seconds:5.0f} s  what callers were answered: {dict(load.answers)}")
    with urllib.request.urlopen(f"{exchange.url}/api/v1/alerts") as answer:
        alerts = json.load(answer)["data"]["alerts"]
    report(f"        alerts now: {sorted((one['labels']['alertname'], one['state']) for one in alerts)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the pictures")
    parser.add_argument("--program", type=Path, required=True, help="concordat")
    parser.add_argument("--prometheus", type=Path, required=True)
    parser.add_argument("--stay", action="store_true", help="go on calling until Ctrl-C, to draw again")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder:
        # PostgreSQL runs as another user, and has a folder in it.
        os.chmod(folder, 0o711)
        with (
            Exchange(Path(folder), arguments.program.resolve(), arguments.prometheus.resolve()) as exchange,
            Load(exchange) as load,
        ):
            play(exchange, load, arguments.minutes * 60)
            # The officers go on meanwhile, so that nothing in the pictures is the end of the run.
            draw = [sys.executable, Path(__file__).parent / "draw.py", "--prometheus", exchange.url]
            draw += ["--steps", exchange.folder / "steps.json", "--minutes", str(arguments.minutes)]
            draw += ["--until", str(int(time.time())), "--out", arguments.out, "--caption", CAPTION, "--strict"]
            subprocess.run(draw, check=True)
            if arguments.stay:
                report(" ".join(map(str, draw)))
                threading.Event().wait()


if __name__ == "__main__":
    main()
