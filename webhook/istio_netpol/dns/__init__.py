"""Host names become addresses: DNS, asked within limits far below a webhook's."""
