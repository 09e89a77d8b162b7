"""ManageSieve programs. Each puts a script, lists what is there, and deletes it."""

from .program import run

SCRIPT = 'require ["fileinto", "enotify"];\nif header :contains "Subject" "sieved" { fileinto "Drafts"; }\n'


def sieve_connect(target, login, folder):
    (folder / "mine").write_text(SCRIPT)
    seen = []
    for action in (("--localsieve", folder / "mine", "--remotesieve", "mine", "--upload"), ("--list",),
                   ("--remotesieve", "mine", "--delete"), ("--list",)):
        done = run("sieve-connect", "--server", target.host, "--port", target.port, "--tlscafile", target.ca, "--noclearauth",
                   "--passwordfd", 0, "--user", login.account, *action, folder=folder, text=f"{login.password}\n")
        seen.append((done.status, done.stdout))
    return done.outcome(*seen)


MANAGESIEVE = {"sieve_connect": sieve_connect}
