"""The section `beam` of a file: what somebody else's configuration may say of the engine, and what it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transforms.arrays.errors import ConfigError, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

# How large, how many and where; none of them names a program, a package, an image or a server to obey.
IN_A_FILE = frozenset(
    """
    runner direct_num_workers direct_running_mode parallelism max_parallelism object_reuse storage_level bundle_size
    flink_version spark_version environment_type environment_cache_millis sdk_worker_parallelism
    project region worker_region worker_zone zone job_name label labels network subnetwork use_public_ips
    no_use_public_ips service_account_email impersonate_service_account dataflow_kms_key flexrs_goal
    num_workers max_num_workers autoscaling_algorithm machine_type worker_machine_type disk_size_gb disk_type
    worker_disk_type disk_provisioned_iops disk_provisioned_throughput_mibps min_cpu_platform
    dataflow_service_option dataflow_service_options number_of_worker_harness_threads resource_hint resource_hints
    staging_location temp_location s3_region_name s3_api_version s3_verify hdfs_host hdfs_port hdfs_user hdfs_full_urls
    default_sdk_harness_log_level sdk_harness_log_level_overrides max_cache_memory_usage_mb
    element_processing_timeout_minutes streaming dry_run
    """.split()  # noqa: SIM905 - a list of sixty words
)


def refuse_programs(section: Mapping[str, Any]) -> None:
    """Refuses options of Beam that belong on the command line, where whoever runs the job has written them.

    Many of Beam's options name something to run or to obey: a setup file, packages, an image, a job server. A
    configuration comes from other people too, and must not be able to.

    Args:
        section: Options by name, as a file has them.

    Raises:
        ConfigError: One of the options is none of `IN_A_FILE`.

    >>> refuse_programs({"direct_num_workers": 2})
    """
    for key in section:
        name = str(key).partition("=")[0]  # Beam would take what stands behind it for the value
        if name not in IN_A_FILE:
            close = suggest(name, IN_A_FILE)
            raise ConfigError(
                f"beam.{name}: a file cannot set this option of Beam, since it may name what is to be run; "
                f"{close + ' Else' if close.startswith('did') else 'if it is one,'} give it on the command line: "
                f"--{name}=..."
            )
