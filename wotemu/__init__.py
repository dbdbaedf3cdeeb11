"""WoTemu: emulate IoT and edge deployments with real apps, real packets and scripted network conditions."""
