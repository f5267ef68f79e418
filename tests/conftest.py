"""What holds for every test: a property is judged by its examples, never by how busy the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile("smartnode", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("smartnode")
