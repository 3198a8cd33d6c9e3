"""Every route over HTTP but the Open Inference Protocol's."""
