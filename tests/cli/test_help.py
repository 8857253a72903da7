"""What the commands say of themselves: purpose, examples that parse, defaults; completion."""

import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pellucid.cli import cli


def walk(command, path=("pellucid",)):
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from walk(child, (*path, name))


COMMANDS = dict(walk(cli))


def help_of(path):
    return COMMANDS[path].get_help(click.Context(COMMANDS[path], info_name=" ".join(path)))


def examples(path):
    lines = iter((COMMANDS[path].help or "").splitlines())
    found = []
    if any(line.strip() == "Examples:" for line in lines):
        for line in lines:
            if not line.strip():
                break
            found.append(line.strip())
    return found


def parse(words):
    """Parse as the command line would, without running anything."""
    command, context = cli, None
    while True:
        context = command.make_context(words[0], words[1:], parent=context)
        if not isinstance(command, click.Group):
            return context
        words = [*context._protected_args, *context.args]
        child = command.get_command(context, words[0])
        assert child is not None, words
        command = child


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_a_purpose_and_examples(path):
    command = COMMANDS[path]
    purpose = command.get_short_help_str(62)
    assert purpose[0].isupper()
    assert not purpose.endswith("..."), "the list of commands would cut it short on a terminal of 80 columns"
    assert examples(path), "no Examples section"
    assert all(len(line) <= 100 for line in help_of(path).splitlines())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_examples_parse(path):
    for example in examples(path):
        words = shlex.split(example.partition(" >")[0], comments=True)
        assert words[0] == "pellucid"
        if "COMMAND" in words:
            continue
        assert tuple(words[: len(path)]) == path or len(path) == 1, f"{example} is about another command"
        parse(words)


def test_the_parser_of_this_test_refuses_what_is_wrong():
    with pytest.raises(click.UsageError):
        parse(["pellucid", "dream", "photo.jpg"])  # without --layer
    with pytest.raises(click.NoSuchOption):
        parse(["pellucid", "atlas", "build", "photos/", "--nonsense"])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_does_and_its_default(path):
    for option in COMMANDS[path].params:
        if not isinstance(option, click.Option) or option.is_flag or option.required:
            continue
        assert option.help, option.name
        # Without a default, an option does nothing unless it is given: its help starts as an addition does.
        said = option.show_default or "[default:" in option.help
        optional = option.name in {"json_file", "cell", "source", "aim", "folder"}
        assert said or optional, f"{option.name} does not say what happens without it"


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["explian"], "'explain'"), (["explain", "--lyer", "x"], "--layer"), (["atlas", "bild", "x"], "'build'")],
)
def test_a_slip_is_answered_with_what_was_meant(words, meant):
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert meant in done.output
    assert "--help" in done.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell):
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    assert "_PELLUCID_COMPLETE" in done.output
    assert "%(" not in done.output


def complete(words, **more):
    """What Bash would offer for the last of the words, and what the process had loaded."""
    code = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); sys.argv[0] = 'pellucid'; "
        "import pellucid_command; pellucid_command.main()"
    )
    environment = {
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_PELLUCID_COMPLETE": "bash_complete",
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**environment, **more})
    return done.stdout.split(), set(done.stderr.split())


def test_completion_of_commands_options_and_models():
    assert complete(["pellucid", "atlas", "bu"])[0] == ["plain,build"]
    assert complete(["pellucid", "explain", "--grid"])[0] == ["plain,--grid-seconds"]
    assert complete(["pellucid", "explain", "--model", "tin"])[0] == ["plain,tiny_inception"]
    assert "plain,timm:" in complete(["pellucid", "layers", "--model", "t"])[0]


def test_completion_does_not_wait_for_torch():
    offered, loaded = complete(["pellucid", "ex"])
    assert offered == ["plain,explain"]
    assert "click" in loaded
    assert "torch" not in loaded
    assert "numpy" not in loaded


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs Bash")
def test_bash_reads_the_script():
    script = CliRunner().invoke(cli, ["completion", "bash"]).output
    done = subprocess.run(["/bin/bash", "-c", script + "\ncomplete -p pellucid"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "_pellucid_completion" in done.stdout
