"""What the launcher of the Flex template starts: `oblong run` with the parameters of the launch."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from pipeline.cli import main, make_parser
from pipeline.commands import DONE, say
from pipeline.flags import unknown_options
from transforms.arrays.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def command(given: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Makes the command line of a launch.

    Args:
        given: What the launcher passes on: `--name=value` for each parameter, and what it adds itself.
        environ: Its environment, in which the image says its own name.

    Returns:
        Arguments of `oblong`. Options that neither it nor Beam knows are left out, as Beam itself leaves them out: the
        parameters of a launch are checked against metadata.json by the service, so these are the launcher's own.

    >>> command(["--config=gs://b/job.yaml", "--project=p"], {"OBLONG_IMAGE": "r/i:1"})
    ['run', '--sdk_container_image=r/i:1', '--config=gs://b/job.yaml', '--project=p']
    """
    image = environ.get("OBLONG_IMAGE")
    workers = [f"--sdk_container_image={image}"] if image else []  # in front, so that a launch can name another
    try:
        unknown = unknown_options(_beams(["run", *given]))
    except ConfigError:
        unknown = []  # `oblong` says what is wrong
    for option in unknown:
        say(f"{option} of the launcher is left out: there is no such option")
    return ["run", *workers, *(option for option in given if option not in unknown)]


def launch(arguments: Sequence[str]) -> int:
    """Runs the command, and leaves a job in any case where it succeeds.

    A launch has to leave a job for the service to start. Where the run is committed already there is none, and the
    service would call that a failed launch; so it gets a job that does nothing.

    Args:
        arguments: Of `oblong`.

    Returns:
        The exit code.
    """
    code = main(arguments)
    if code == DONE:
        options = PipelineOptions([*_beams(arguments), "--no_save_main_session"])
        template = options.view_as(GoogleCloudOptions).template_location
        if template and not FileSystems.exists(template):
            pipeline = beam.Pipeline(options=options)
            _ = pipeline | "NothingToDo" >> beam.Create([None])
            pipeline.run()
    return code


def _beams(arguments: Sequence[str]) -> list[str]:
    """The options that are not of `oblong run` itself."""
    return list(make_parser().parse_known_args(arguments)[1])


if __name__ == "__main__":
    sys.exit(launch(command(sys.argv[1:], os.environ)))
