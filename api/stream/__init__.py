"""The stream: what changes in the exchange, told to whoever subscribes, once it is durable."""
