"""Base values of the profiles: what a service of each kind gets where its own entry says nothing. Data only."""

from typing import Any

PROFILES: dict[str, dict[str, dict[str, Any]]] = {
    "dev": {
        "app": {"replicas": 1},
        "clickhouse": {"replicas": 1, "storage": "2Gi", "resources": {"cpu": "250m", "memory": "1Gi"}},
        "kafka": {"replicas": 1, "storage": "2Gi", "resources": {"cpu": "250m", "memory": "768Mi"}},
        "nats": {"replicas": 1, "storage": "1Gi"},
        "nginx": {"replicas": 1},
        "objects": {"storage": "1Gi"},
        "postgres": {"replicas": 1, "storage": "1Gi"},
        "rabbitmq": {"replicas": 1, "storage": "2Gi", "resources": {"cpu": "250m", "memory": "512Mi"}},
        "redis": {"replicas": 1},
    },
    "local": {
        "app": {"replicas": 1},
        "clickhouse": {"replicas": 1, "storage": "2Gi", "resources": {"cpu": "250m", "memory": "1Gi"}},
        "kafka": {"replicas": 1, "storage": "2Gi", "resources": {"cpu": "250m", "memory": "768Mi"}},
        "nats": {"replicas": 1, "storage": "1Gi"},
        "nginx": {"replicas": 1},
        "objects": {"storage": "1Gi"},
        "postgres": {"replicas": 1, "storage": "1Gi", "resources": {"cpu": "250m", "memory": "512Mi"}},
        "rabbitmq": {"replicas": 1, "storage": "2Gi", "resources": {"cpu": "250m", "memory": "512Mi"}},
        "redis": {"replicas": 1},
    },
    "prod": {
        "app": {"replicas": 3, "resources": {"cpu": "250m", "memory": "256Mi"}},
        "clickhouse": {"replicas": 2, "storage": "200Gi", "resources": {"cpu": "4", "memory": "16Gi"}},
        "kafka": {"replicas": 3, "storage": "100Gi", "resources": {"cpu": "1", "memory": "4Gi"}},
        "nats": {"replicas": 3, "storage": "20Gi", "resources": {"cpu": "500m", "memory": "1Gi"}},
        "nginx": {"replicas": 3, "resources": {"cpu": "250m", "memory": "256Mi"}},
        "objects": {"storage": "100Gi", "resources": {"cpu": "500m", "memory": "1Gi"}},
        "postgres": {"replicas": 3, "storage": "50Gi", "resources": {"cpu": "2", "memory": "4Gi"}},
        "rabbitmq": {"replicas": 3, "storage": "50Gi", "resources": {"cpu": "1", "memory": "2Gi"}},
        "redis": {"replicas": 3, "resources": {"cpu": "250m", "memory": "1Gi"}},
    },
}
