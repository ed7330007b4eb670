"""Ready configurations, one YAML file per use."""
