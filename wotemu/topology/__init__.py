"""What a deployment is: nodes, networks, brokers and services, as values that check themselves."""
