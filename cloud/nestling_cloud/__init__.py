"""The cloud: learns the nested student, releases bundles, answers what devices offload."""
