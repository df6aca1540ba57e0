"""What is compared with what: each scenario starts servers, asks the driver in turn, puts figures side by side."""
